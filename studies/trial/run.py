"""One training that is ready to fit."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parameter import is_lazy

from studies.trial.building.links import Plain
from studies.trial.building.package import Package
from studies.trial.checkpoints.saver import CheckpointSaver
from studies.trial.failures import classify
from studies.trial.loggers.loggers import Loggers
from studies.trial.memory import PeakMemory
from studies.trial.other_callbacks import OtherCallbacks
from studies.trial.ranks.agreement import ALONE, TrialRanks
from studies.trial.rungs.batch_limit import EndAtBatchLimit
from studies.trial.rungs.clocks import TimeLimit
from studies.trial.rungs.rungs import Interrupted, Rungs
from studies.trial.testing import evaluate_test_set
from studies.trial.training import Training, Watchers

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule

TRAJECTORY_LENGTH = 16  # hexadecimal digits
EMPTY = "the training loader gives no batch (a batch larger than the data, with drop_last?)"


@dataclass(slots=True)
class Run:
    """A module with its data, loggers and Trainer, ready to fit."""

    module: LightningModule
    datamodule: LightningDataModule | None
    trainer: Any  # a Trainer of `package`, see `trainer_class`
    package: Package
    rungs: Rungs
    others: OtherCallbacks
    saver: CheckpointSaver
    watchers: Watchers
    time_limit: TimeLimit | None = None
    ranks: TrialRanks = ALONE
    tested_with: Mapping[str, Any] | None = None  # the config of a test at the end
    loggers: Loggers = field(default_factory=Loggers)
    limiter: EndAtBatchLimit | None = None
    linked: Mapping[str, Plain] = field(default_factory=dict)  # what links have written into the config
    prunes: tuple[type[Exception], ...] = ()  # exceptions by which the module ends its own training early

    def fit(self, checkpoint: Path | None = None, *, stays_open: bool = False) -> Training:
        """Train to the end of the budget, or until something stops it. With a `checkpoint`, resume from there.

        Saves the last state if the watchers keep it. The loggers end their runs, unless a run with a value
        `stays_open`. Raises `Interrupted` if it was asked to stop. Exceptions of the module come through, and those of
        a checkpoint that does not fit.
        """
        try:
            self.trainer.loggers = self.loggers.begin()
            training = self._fit(checkpoint)
        except BaseException as error:
            self.failed(error)
            raise
        if not stays_open:
            self.ended(training, training.test.metrics)
        return replace(training, logger_failures=dict(self.loggers.failures), linked=self.linked)

    def ended(self, training: Training, scores: Mapping[str, float] | None = None) -> None:
        """Have the loggers end their runs with the value of `training` and the `scores` of a test."""
        tracked = self.loggers.run
        state, value = training.state(), training.value(counts=tracked.counts, maximize=tracked.maximize)
        self.loggers.end(state, value=value if state == "complete" else None, metrics=scores)

    def failed(self, error: BaseException) -> None:
        """Have the loggers end their runs with the failure in `error`."""
        self.loggers.end("pruned" if isinstance(error, self.prunes) else str(classify(error)[0]))

    def between_batches(self, trainer: Any, stopping: bool) -> bool:
        """Return whether the training stops between two batches. See `trainer_class`."""
        if not trainer.validating:
            self.rungs.between_batches(trainer)
            self.others.between_batches(trainer)
        return self.saver.between_batches(trainer, stopping)

    def _fit(self, checkpoint: Path | None) -> Training:
        device = self.trainer.strategy.root_device
        folder = Path(self.trainer.default_root_dir)
        was_there = folder.exists()
        peak = PeakMemory(device)
        self.rungs.begun = time.perf_counter()
        self.others.resumes = checkpoint is not None
        try:
            self.trainer.fit(self.module, datamodule=self.datamodule, ckpt_path=checkpoint, weights_only=True)
        except self.package.sigterm:
            raise Interrupted(self.saver.reason or "SIGTERM") from None
        finally:
            if not was_there:
                _remove_if_empty(folder)
        own_mb = peak.mb()
        shared = self.ranks.share("end", math.nan if own_mb is None else own_mb, self.rungs.loss_sum)
        peaks, losses = [mb for mb, _ in shared], [loss for _, loss in shared]
        training = Training(
            rungs=tuple(self.rungs.rungs),
            stopped=self.rungs.stopped,
            diverged=self.rungs.diverged,
            out_of_time=self.time_limit is not None and self.time_limit.reached,
            steps=self.trainer.global_step,
            samples_seen=self.rungs.count(),
            seconds=self.rungs.seconds,
            device=str(device) if self.ranks.size == 1 else f"{self.ranks.size} × {device.type}",
            threads=torch.get_num_threads(),
            peak_memory_mb=None if any(map(math.isnan, peaks)) else max(peaks),
            n_parameters=sum(p.numel() for p in self.module.parameters() if not is_lazy(p)),
            trajectory=trajectory_of(losses, self.module),
            found=dict(self.others.found),
            note=self.others.note,
            fell_short=EMPTY if self.trainer.num_training_batches == 0 else self.rungs.fell_short,
        )
        if self.watchers.keeps(training):
            self.saver.save(self.trainer, ended=True)
        if self.tested_with is None or training.stopped or training.diverged or not training.rungs:
            return training
        return replace(training, test=evaluate_test_set(self.module, self.datamodule, config=self.tested_with))


def trajectory_of(loss_sums: Sequence[float], module: torch.nn.Module) -> str:
    """Return a short digest of the last digits of a training's `loss_sums`, one a rank, and of its `module`'s weights.

    Two trainings with different seeds differ in it from the first random number on. So trials of one point with the
    same digest under different seeds are one and the same training, whatever their metrics are. It is empty without a
    loss and weights: then nothing tells trainings apart.
    """
    weights = [parameter.detach() for parameter in module.parameters() if not is_lazy(parameter)]
    real = [torch.view_as_real(weight) if weight.is_complex() else weight for weight in weights]
    sums = [float(weight.sum(dtype=torch.float32)) for weight in real]
    if not sums and not any(loss_sums):
        return ""
    numbers = repr([*loss_sums, *sums])
    return hashlib.sha256(numbers.encode()).hexdigest()[:TRAJECTORY_LENGTH]


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a finder, unless it holds anything."""
    with contextlib.suppress(OSError):
        folder.rmdir()
