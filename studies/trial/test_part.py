"""The test part of a module's data: whether there is one, and what the module logs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studies.trial.callbacks import n_samples
from studies.trial.package import package_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule

KEPT = ("accelerator", "devices", "precision")  # of the Trainer's settings: how a batch is computed
QUIET = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")


@dataclass(frozen=True, slots=True)
class Scores:
    """What the module logs in testing, over `n` samples."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    n: int = 0


class _Count:
    """Counts the samples of a test."""

    n = 0

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.n += n_samples(batch)


def has_test_part(module: LightningModule, datamodule: LightningDataModule | None) -> bool:
    """Whether there is a `test_step` with a `test_dataloader` beside it."""
    package, source = package_of(module), datamodule or module
    assert package is not None
    return package.is_overridden("test_step", module) and package.is_overridden("test_dataloader", source)


def look_at_test_part(
    module: LightningModule, datamodule: LightningDataModule | None, *, config: Mapping[str, Any]
) -> Scores:
    """Test `module` as it is, once, with the Trainer's settings in `config`; nothing where it cannot be tested."""
    if not has_test_part(module, datamodule):
        return Scores()
    package = package_of(module)
    assert package is not None
    count = package.callback(_Count)()
    trainer = config.get("trainer") or {}
    kept: dict[str, Any] = {key: trainer[key] for key in KEPT if key in trainer}
    quiet: dict[str, Any] = dict.fromkeys(QUIET, False)
    tester = package.trainer(**kept, **quiet, callbacks=[count])
    results = tester.test(module, datamodule=datamodule, verbose=False)
    return Scores({name: float(value) for result in results for name, value in result.items()}, count.n)
