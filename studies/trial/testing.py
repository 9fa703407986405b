"""Trains one configuration to the end and looks at the test data, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from scipy.stats import binomtest

from studies.budget import Budget
from studies.errors import StudyError
from studies.trial.callbacks import n_samples
from studies.trial.training import Run, Watchers, build, never


@dataclass(frozen=True, slots=True)
class Tested:
    """`value` is the study's metric at the last rung, `metrics` what the module logs in testing, over `n` samples."""

    value: float
    metrics: Mapping[str, float]
    n: int
    checkpoint: Path

    def interval(self, name: str) -> str:
        """The 95 % interval of a share (Wilson 1927) in words; empty for a metric that is no share of right answers."""
        value = self.metrics[name]
        if not is_share(name) or not 0 <= value <= 1 or not self.n:
            return ""
        found = binomtest(round(value * self.n), self.n).proportion_ci(0.95, method="wilson")
        return f" (95 % interval {found.low:.4f}–{found.high:.4f}, n = {self.n} test samples)"


class _Count(pl.Callback):
    """Counts the samples of a test."""

    n = 0

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.n += n_samples(batch)


def train_and_test(
    config: Mapping[str, Any],
    *,
    metric: str,
    budget: Budget,
    seed: int,
    folder: Path,
    interrupted: Callable[[], str | None] = never,
) -> Tested:
    """Train `config` under `seed`, write `folder`/model.ckpt (aside, then renamed), and test once.

    Raises `StudyError` where the training diverges or there is nothing to test on.
    """
    watchers = Watchers(interrupted=interrupted)
    run = build(config, metric=metric, budget=budget, seed=seed, folder=folder, watchers=watchers)
    _refuse_untestable(run)
    training = run.fit()
    if training.diverged or not training.rungs:
        raise StudyError(f"the training gave no value: {training.diverged or 'it ended before its first rung'}")
    checkpoint = folder / "model.ckpt"
    aside = checkpoint.with_suffix(".part")
    run.trainer.save_checkpoint(aside, weights_only=True)
    aside.replace(checkpoint)
    count = _Count()
    tester = pl.Trainer(**_quiet(config), callbacks=[count])
    metrics = tester.test(run.module, datamodule=run.datamodule, verbose=False)
    values = {name: float(value) for result in metrics for name, value in result.items()}
    if not values:
        raise StudyError(
            f"nothing to report of the test: the module logs nothing in test_step; checkpoint: {checkpoint}"
        )
    return Tested(training.rungs[-1].value, values, count.n, checkpoint)


def _refuse_untestable(run: Run) -> None:
    """Raise `StudyError` before an hour is spent on what cannot be tested after it."""
    source: Any = run.datamodule or run.module
    if not is_overridden("test_step", run.module) or not is_overridden("test_dataloader", source):
        name = type(run.module).__name__
        raise StudyError(f"there is nothing to test on: give {name} a test_step, and a test_dataloader beside it")


def is_share(name: str) -> bool:
    """Whether a metric's name says that it is the share of samples answered rightly."""
    return name.rpartition("/")[2].rpartition("_")[2].lower() in ("accuracy", "acc")


def _quiet(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in (config.get("trainer") or {}).items() if k in ("accelerator", "devices", "precision")}
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    return {**kept, **quiet}
