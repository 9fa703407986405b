"""Callbacks that place a training's rungs and its end by the steps, samples or seconds it has spent.

Context: Lightning steps a ReduceLROnPlateau at the end of each epoch and raises where its metric is not there. In a
budget of steps, samples or seconds the validations are the rungs, so an epoch may end before the first one, or between
two. Choice: an epoch without a validation is passed over, so that the patience of a scheduler counts validations. Cost:
a metric that is logged in training and in validation counts as one of the validation. A scheduler with `strict: false`
keeps Lightning's own rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from studies.trial.rungs.budget_steps import progress_of
from studies.trial.rungs.rungs import KeepsState, Rungs

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

NEVER = 2**62  # batches or epochs: more than any training has


class _Elapsed:
    """The seconds of a training by the clock `now`, those before a checkpoint included."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun: float | None = None
        self._before = 0.0

    def start(self) -> None:
        self._begun = self._now()

    def resume_at(self, seconds: float) -> None:
        """Continue at `seconds`. This also happens during a training, after another callback has tried something."""
        self._before = seconds
        self._begun = None if self._begun is None else self._now()

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._before + (0.0 if self._begun is None else self._now() - self._begun)


class Clock(KeepsState):
    """Places the rungs of a budget in steps, samples or seconds, and ends the training with the last one.

    Where one batch passes several rungs, only the last of them is reached. Time is that of the ranks' common clock.
    """

    def __init__(self, rungs: Rungs) -> None:
        self._rungs = rungs
        self._elapsed = _Elapsed(rungs.ranks.now)
        self._n_rungs = rungs.budget.rungs
        self._progress = progress_of(rungs.budget)
        self._reached = 0
        self._reported = 0
        self._schedulers = MonitoredSchedulers()

    def state_dict(self) -> dict[str, Any]:
        """Return how far the training is."""
        return {
            "seconds": self._elapsed.seconds,
            "reached": self._reached,
            "reported": self._reported,
            "schedulers": self._schedulers.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._elapsed.resume_at(state_dict["seconds"])
        self._reached = state_dict["reached"]
        self._reported = state_dict["reported"]
        self._schedulers.restore(state_dict.get("schedulers", {}))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock. Where a validation was interrupted, begin with it."""
        self._elapsed.start()
        if self._reached > self._reported:
            trainer.val_check_batch = 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Have the Trainer validate after this batch where a rung is reached. Without a validation, report at once."""
        spent = self._progress(trainer, self._rungs, self._elapsed.seconds)
        self._reached = min(math.floor(spent * self._n_rungs + 1e-9), self._n_rungs)
        due = self._reached > self._reported
        trainer.val_check_batch = 1 if due else NEVER
        if due and trainer.enable_validation:
            self._rungs.note_random_states()
        elif due:
            self._reach(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which metrics there are before the validation."""
        self._schedulers.before_validation(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reach the rung that this validation belongs to."""
        if trainer.sanity_checking:
            return
        self._schedulers.after_validation(trainer)
        if self._reached > self._reported:
            self._reach(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which schedulers step after this epoch."""
        self._schedulers.at_epoch_end(trainer)

    def _reach(self, trainer: Trainer) -> None:
        """Have the rung reported once the module's own hooks have run, those of an ending epoch included."""
        self._reported = self._reached
        self._rungs.due = self._reached
        if self._reached >= self._n_rungs:
            trainer.should_stop = True


class TimeLimit(KeepsState):
    """Ends a training that takes longer than `limit_s` seconds. Nothing is reported after that."""

    def __init__(self, rungs: Rungs, *, limit_s: float) -> None:
        self.reached = False
        self._elapsed = _Elapsed(rungs.ranks.now)
        self._rungs = rungs
        self._limit_s = limit_s

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds spent so far."""
        return {"seconds": self._elapsed.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._elapsed.resume_at(state_dict["seconds"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._elapsed.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop once the time is over."""
        if self._elapsed.seconds > self._limit_s:
            self.reached = True
            self._rungs.stopped = True
            trainer.should_stop = True


class MonitoredSchedulers:
    """Decides at the end of each epoch which schedulers with a validation metric step."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._validated: set[str] = set()
        self._has_validated = False
        self._is_fresh = False
        self._written: dict[int, tuple[int, bool]] = {}  # by scheduler: the module's frequency and strict

    def state(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {
            "validated": sorted(self._validated),
            "has_validated": self._has_validated,
            "is_fresh": self._is_fresh,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self._validated = set(state.get("validated", ()))
        self._has_validated = bool(state.get("has_validated", False))
        self._is_fresh = bool(state.get("is_fresh", False))

    def before_validation(self, trainer: Trainer) -> None:
        """Note the metrics that there are."""
        self._before = dict(trainer.callback_metrics)

    def after_validation(self, trainer: Trainer) -> None:
        """Note the metrics that the validation has logged."""
        metrics = trainer.callback_metrics
        self._validated |= {name for name, value in metrics.items() if self._before.get(name) is not value}
        self._has_validated = self._is_fresh = True
        self._before = {}

    def at_epoch_end(self, trainer: Trainer) -> None:
        """Have a scheduler skip this epoch if no validation has logged its metric since the last epoch.

        The metrics of the module's own `on_train_epoch_end` do not exist yet. So before the first validation Lightning
        itself is told to skip a missing metric.
        """
        for number, config in enumerate(trainer.lr_scheduler_configs):
            frequency, is_strict = self._written.setdefault(number, (config.frequency, config.strict))
            if config.reduce_on_plateau and config.interval == "epoch" and is_strict:
                passes_over = config.monitor in self._validated and not self._is_fresh
                config.frequency = NEVER if passes_over else frequency
                config.strict = self._has_validated or not trainer.enable_validation
        self._is_fresh = False
