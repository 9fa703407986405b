"""Lightning callbacks of a trial, one class a job. They take plain callables and know nothing of Optuna.

Lightning walks through all callbacks six times a step, which costs more than what most of them do; so there is one
callback that every trial has (`Rungs`), and the others are added only where a setting asks for them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from studies.trial.ranks import ALONE, Ranks

log = logging.getLogger(__name__)
NEVER = 2**62  # a batch number that no training reaches
CHECK_LOSS_EVERY = 100  # batches between looks at the loss: each look waits for the device


@dataclass(frozen=True, slots=True)
class Rung:
    """What a trial shows at an equal fraction of its budget. `index` counts from 1."""

    index: int
    value: float
    samples_seen: int


class MetricMissing(Exception):
    """The module never logged the metric that the study optimises."""


class Interrupted(BaseException):
    """A person or a signal wants the trial to end; not an error of the trial."""


class Rungs(Callback):
    """Reports the metric at each rung, stops the training where told to or where the loss is no longer finite.

    `report(rung) -> bool` is called once a rung and says whether to stop; `interrupted() -> str | None` is asked after
    each batch and names the reason to give up at once. Only a whole epoch with its validation is a rung: what another
    callback cuts short, or a skipped validation, is not reported.

    Where several `ranks` train the trial together, `report` and `interrupted` have to come out alike on all of them;
    `samples_seen` are the samples of all, as of the last rung.
    """

    def __init__(
        self,
        metric: str,
        *,
        report: Callable[[Rung], bool],
        interrupted: Callable[[], str | None],
        at_epochs: bool,
        ranks: Ranks = ALONE,
    ) -> None:
        self.metric = metric
        self.rungs: list[Rung] = []
        self.samples_seen = 0
        self.batches = 0
        self.diverged: str | None = None
        self.stopped = False
        self._report = report
        self._interrupted = interrupted
        self._at_epochs = at_epochs
        self._ranks = ranks
        self._uncounted = 0  # this rank's samples that the others have not been told of
        self._loss_sum: torch.Tensor | float = 0.0
        self._epoch_began_at = 0
        self._validated = False
        self._told_of_shares = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask for the first time, by which several ranks agree on the time too."""
        self._give_up_if_interrupted()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the epoch begins."""
        self._epoch_began_at = self.batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and keep the running sum of the loss: one non-finite loss makes the sum non-finite."""
        self.batches += 1
        self._uncounted += n_samples(batch)
        if self._ranks.size == 1:
            self.count()
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            self._loss_sum = loss.detach().sum(dtype=torch.float32) + self._loss_sum
        self._give_up_if_interrupted()
        if self.batches % CHECK_LOSS_EVERY == 0 and self._loss_is_broken():
            trainer.should_stop = True

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """A long validation can be interrupted too; but ranks may validate unequal numbers of batches, so several of
        them ask again when it is over."""
        if self._ranks.size == 1:
            self._give_up_if_interrupted()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the metric is fresh."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A rung, where rungs are epochs."""
        whole = math.isinf(trainer.num_training_batches) or (
            self.batches - self._epoch_began_at >= trainer.num_training_batches
        )
        if self._at_epochs and whole:
            self.reach(len(self.rungs) + 1, trainer)

    def count(self) -> int:
        """The samples that all ranks have seen so far; all of them have to call it at once."""
        own, self._uncounted = self._uncounted, 0
        self.samples_seen += sum(int(samples) for (samples,) in self._ranks.share("samples", own))
        return self.samples_seen

    def reach(self, index: int, trainer: Trainer) -> None:
        """Report rung `index`, unless the training has diverged or was stopped, or there is nothing new to report."""
        fresh = self._validated or not trainer.enable_validation
        self._validated = False
        self.count()
        if fresh and not self.stopped and not self._loss_is_broken():
            value = self._value(trainer)
            if math.isfinite(value):
                rung = Rung(index, value, self.samples_seen)
                self.rungs.append(rung)
                self.stopped = self._report(rung)
            else:
                self.diverged = f"{self.metric} is {value}"
        if self.stopped or self.diverged:
            trainer.should_stop = True

    def _value(self, trainer: Trainer) -> float:
        own = trainer.callback_metrics.get(self.metric)
        shared = self._ranks.share("rung", *((0.0, False) if own is None else (float(own), True)))
        values = [value for value, is_logged in shared if is_logged]
        if not values:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise MetricMissing(
                f"the module never logged {self.metric}; by the end of the rung it had logged: {logged} "
                "(what a module logs in its own on_train_epoch_end comes too late)"
            )
        return self._agreed(values)

    def _agreed(self, values: list[float]) -> float:
        """One value out of one a rank: a module that logs without `sync_dist` shows each rank its own share of the
        data; the mean of the shares is what `sync_dist` gives."""
        if len(set(values)) == 1:
            return values[0]
        mean = sum(values) / len(values)
        if math.isfinite(mean) and not self._told_of_shares and self._ranks.rank == 0:
            shown = ", ".join(f"{value:.6g}" for value in values)
            log.warning(
                "%s differs between ranks (%s): their mean counts; log it with sync_dist=True", self.metric, shown
            )
        self._told_of_shares = True
        return mean

    def _loss_is_broken(self) -> bool:
        if self.diverged is not None:
            return True
        shared = self._ranks.share("loss", not math.isfinite(float(self._loss_sum)))
        if any(is_broken for (is_broken,) in shared):
            self.diverged = f"the training loss is not finite after {self.batches} batches"
        return self.diverged is not None

    def _give_up_if_interrupted(self) -> None:
        reason = self._interrupted()
        if reason is not None:
            raise Interrupted(reason)


class Clock(Callback):
    """Places the rungs of a budget in steps, samples or seconds, and ends the training with the last one.

    `progress(trainer, rungs, seconds) -> float` is the spent fraction of the budget. A batch that takes longer than the
    way to the next rung skips that rung. `now` is the clock, the same one on all ranks of a trial.
    """

    def __init__(
        self,
        rungs: Rungs,
        *,
        n_rungs: int,
        progress: Callable[[Trainer, Rungs, float], float],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._rungs = rungs
        self._now = now
        self._n_rungs = n_rungs
        self._progress = progress
        self._begun = 0.0
        self._reached = 0
        self._reported = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._begun = self._now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """At a rung, have the Trainer validate after this batch; a module without validation reports at once."""
        spent = self._progress(trainer, self._rungs, self._now() - self._begun)
        self._reached = min(math.floor(spent * self._n_rungs + 1e-9), self._n_rungs)
        due = self._reached > self._reported
        trainer.val_check_batch = 1 if due else NEVER
        if due and not trainer.enable_validation:
            self._reach(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The validation of a rung has ended."""
        if not trainer.sanity_checking and self._reached > self._reported:
            self._reach(trainer)

    def _reach(self, trainer: Trainer) -> None:
        self._reported = self._reached
        self._rungs.reach(self._reached, trainer)
        if self._reached >= self._n_rungs:
            trainer.should_stop = True


class TimeLimit(Callback):
    """Ends a training that takes longer than `limit_s` seconds; what it has not reported by then is not reported."""

    def __init__(self, rungs: Rungs, *, limit_s: float, now: Callable[[], float] = time.perf_counter) -> None:
        self.reached = False
        self._now = now
        self._rungs = rungs
        self._limit_s = limit_s
        self._begun = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._begun = self._now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop once the time is over."""
        if self._now() - self._begun > self._limit_s:
            self.reached = True
            self._rungs.stopped = True
            trainer.should_stop = True


def n_samples(batch: Any) -> int:
    """The number of samples in a batch: the first dimension of the first tensor found in it; 1 where there is none."""
    if isinstance(batch, torch.Tensor):
        return batch.shape[0] if batch.ndim else 1
    members = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return next((n_samples(member) for member in members if isinstance(member, torch.Tensor | dict | list | tuple)), 1)
