"""Ends a training after a few batches from outside, so that its length, limits and schedules stay its own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studies.trial.rungs.budget_steps import epoch_share
from studies.trial.rungs.rungs import Rungs

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


@dataclass(frozen=True, slots=True)
class BatchLimit:
    """How much of a training is tried: `n_epochs` epochs of up to `n_batches`, each with a validation and a rung.

    `in_order`: one epoch without a validation comes first if the whole training has epochs before its first rung.
    `at_most_s`: an epoch ends with the first batch, from the second on, that begins so many seconds after it.
    """

    n_batches: int
    n_epochs: int = 1
    in_order: bool = False
    at_most_s: float | None = None


@dataclass(frozen=True, slots=True)
class MonitoredMetric:
    """A scheduler that refuses to step without its metric. `frequency` counts batches or epochs, as `interval` says."""

    metric: str
    interval: str
    frequency: int


@dataclass(slots=True)
class Observed:
    """Notes on a training with a batch limit."""

    monitored: tuple[MonitoredMetric, ...] = ()
    logged: tuple[str, ...] = ()
    logged_by_step: tuple[str, ...] = ()
    n_batches: float = math.inf
    first_validation: float = 0.0


class EndAtBatchLimit:
    """Ends each epoch of a training after a few batches, and the training after a few epochs.

    The Trainer takes the batch for the last one of its epoch, so it steps, validates and runs its schedulers as at the
    end of a whole epoch. `trainer.num_training_batches` and `trainer.max_epochs` are those of a trial.
    """

    def __init__(self, batch_limit: BatchLimit, rungs: Rungs) -> None:
        self.is_done = False
        self.seen = Observed()
        self._limit = batch_limit
        self._rungs = rungs
        self._budget = rungs.budget
        self._n_ended = 0
        self._n_rungs_before = 0
        self._is_at_end = False
        self._is_waiting = False
        self._val_check_batch: Any = None
        self._first_ended: float | None = None
        self._epoch_began = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the schedulers as the module gave them."""
        self.seen.monitored = tuple(
            MonitoredMetric(str(config.monitor), config.interval, config.frequency)
            for config in (trainer.lr_scheduler_configs if pl_module.automatic_optimization else ())
            if config.reduce_on_plateau and config.strict
        )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an epoch of the usual length."""
        self._n_rungs_before = len(self._rungs.rungs)
        self._is_at_end = False
        self._epoch_began = time.perf_counter()
        if self._val_check_batch is not None:
            trainer.val_check_batch, self._val_check_batch = self._val_check_batch, None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Make the last batch of a try the last one of its epoch, before the optimizer steps."""
        progress = trainer.fit_loop.epoch_loop.batch_progress
        self._is_at_end = (
            batch_idx + 1 >= self._limit.n_batches
            or batch_idx + 1 == trainer.num_training_batches
            or progress.is_last_batch
            or (batch_idx > 0 and self._is_late())
        )
        progress.is_last_batch = self._is_at_end

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Have the Trainer validate after the last batch of an epoch."""
        if self._first_ended is None:
            self._first_ended = time.perf_counter()
            self.seen.logged_by_step = tuple(trainer.callback_metrics)
        if not self._is_at_end:
            return
        self._is_waiting = self._goes_before_the_first_rung(trainer)
        if trainer.enable_validation and not self._is_waiting:
            self._val_check_batch, trainer.val_check_batch = trainer.val_check_batch, 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reach a rung, and end the training after the last epoch to try."""
        if self._is_at_end and not self._is_waiting:
            self._reach(trainer)
            self._n_ended += 1
        if self._n_ended >= self._limit.n_epochs:
            self.is_done = True
            trainer.fit_loop.min_epochs = None
            trainer.fit_loop.epoch_loop.min_steps = None
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was logged, and how long an epoch is."""
        share = epoch_share(self._budget, trainer, self._rungs, batch_s=self._batch_s())
        self.seen.logged = tuple(trainer.callback_metrics)
        self.seen.n_batches = trainer.num_training_batches
        if share is not None and trainer.enable_validation:
            self.seen.first_validation = trainer.num_training_batches / (share * self._budget.rungs)

    def _reach(self, trainer: Trainer) -> None:
        """Have a rung reached, unless the training reaches one in this epoch by itself.

        A rung inside an epoch of the whole training is reached before the module's own hook at the end of the epoch.
        """
        rungs = self._rungs
        if len(rungs.rungs) == self._n_rungs_before and rungs.diverged is None and rungs.due is None:
            rungs.due = rungs.last_index + 1
        if rungs.due is not None and not rungs.at_epochs and self._rungs_in_an_epoch(trainer) > 1 + 1e-9:
            rungs.reach(rungs.due, trainer)

    def _goes_before_the_first_rung(self, trainer: Trainer) -> bool:
        """Return whether the first epoch of the whole training ends before its first rung."""
        if not self._limit.in_order or self._rungs.at_epochs or self._rungs.rungs or trainer.current_epoch > 0:
            return False
        return self._rungs_in_an_epoch(trainer) < 1 - 1e-9

    def _rungs_in_an_epoch(self, trainer: Trainer) -> float:
        """Return how many rungs an epoch of the whole training holds, 1 if unknown."""
        share = epoch_share(self._budget, trainer, self._rungs, batch_s=self._batch_s())
        return 1.0 if share is None else share * self._budget.rungs

    def _is_late(self) -> bool:
        at_most_s = self._limit.at_most_s
        return at_most_s is not None and time.perf_counter() - self._epoch_began > at_most_s

    def _batch_s(self) -> float:
        """Return the mean seconds of a batch. The first one does not count, because it sets things up."""
        if self._first_ended is None or self._rungs.batches < 2:
            return self._rungs.seconds
        return (time.perf_counter() - self._first_ended) / (self._rungs.batches - 1)
