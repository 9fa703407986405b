"""Evaluates a module on the test set of its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studies.trial.building.package import loaders_in, package_of
from studies.trial.rungs.real_number import guard_metrics
from studies.trial.rungs.samples import SampleCount

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule

KEPT = ("accelerator", "devices", "precision")  # of the Trainer's settings: how a batch is computed
QUIET = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")


@dataclass(frozen=True, slots=True)
class TestScores:
    """The metrics that the module logs in testing, over `n` samples. None if the batches do not tell their size."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    n: int | None = 0


class _Count:
    """Counts the samples of a test, of each loader by itself."""

    def __init__(self) -> None:
        self.n: int | None = 0
        self._counts: list[SampleCount] = []

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not self._counts:
            self._counts = [SampleCount(loader) for loader in loaders_in(trainer.test_dataloaders, trainer)]
        n_batches = trainer.num_test_batches[dataloader_idx]
        n = self._counts[dataloader_idx].of(batch, batch_idx, is_last=batch_idx + 1 == n_batches)
        self.n = None if n is None or self.n is None else self.n + n


def has_test_set(module: LightningModule, datamodule: LightningDataModule | None) -> bool:
    """Return whether there is a `test_step` with a `test_dataloader` beside it."""
    package, source = package_of(module), datamodule or module
    assert package is not None
    return package.is_overridden("test_step", module) and package.is_overridden("test_dataloader", source)


def evaluate_test_set(
    module: LightningModule, datamodule: LightningDataModule | None, *, config: Mapping[str, Any]
) -> TestScores:
    """Test `module` as it is, once, with the Trainer's settings in `config`. Do nothing where it cannot be tested."""
    if not has_test_set(module, datamodule):
        return TestScores()
    package = package_of(module)
    assert package is not None
    count = package.callback(_Count)()
    trainer = config.get("trainer") or {}
    kept: dict[str, Any] = {key: trainer[key] for key in KEPT if key in trainer}
    quiet: dict[str, Any] = dict.fromkeys(QUIET, False)
    tester = package.find("Trainer")(**kept, **quiet, callbacks=[count])
    guard_metrics(module)
    results = tester.test(module, datamodule=datamodule, verbose=False)
    return TestScores({name: float(value) for result in results for name, value in result.items()}, count.n)
