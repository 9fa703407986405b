"""Estimates the seconds of a whole training from a few of its batches.

Setting up is paid once a trial, a step as often as the budget says, a validation once a rung, and the time between two
epochs once an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch

from studies.config.budget import Budget
from studies.trial.run import Run
from studies.trial.rungs.budget_steps import batches_in_steps

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

N_TIMED = 10  # timed batches in each of the two epochs


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of the parts of a training: until its first step, a step, a validation, between two epochs."""

    setup: float
    step: float
    validation: float
    between: float


class Stopwatch:
    """Times a training from `begun` on, by the clock `now`. It has to be the last callback."""

    def __init__(self, begun: float, now: Callable[[], float] = time.perf_counter) -> None:
        self._begun = begun
        self._now = now
        self._last: float | None = None  # the last event of this epoch, a batch or a validation
        self._before: float | None = None  # the last event of the epoch before
        self._first = 0.0
        self._steps: list[float] = []
        self._validations: list[float] = []
        self._between: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with no batch."""
        self._before, self._last = self._last, None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time, once the device has done its work."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize(trainer.strategy.root_device)
        now = self._now()
        if self._last is not None:
            self._steps.append(now - self._last)
        elif self._before is not None:
            self._between.append(now - self._before)
        else:
            self._first = now - self._begun
        self._last = now

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note how long the validation took, with what it sets up."""
        if trainer.sanity_checking or self._last is None:
            return
        now = self._now()
        self._validations.append(now - self._last)
        self._last = now

    @property
    def times(self) -> Times:
        """Return the times so far. A single step counts as part of the setup."""
        step = mean(self._steps or [0.0])
        return Times(
            setup=max(0.0, self._first - step),
            step=step,
            validation=mean(self._validations or [0.0]),
            between=max(0.0, mean(self._between or [0.0]) - step),
        )


def whole_training_s(run: Run, budget: Budget, times: Times, *, n_devices: int) -> float | None:
    """Return the seconds of a training for `budget` on each of `n_devices`, by the `times` of its shortened `run`.

    None if the loader does not tell the length of an epoch.
    """
    n_batches = _n_batches(run, budget, n_devices=n_devices)
    if n_batches is None:
        return None
    n_epochs = max(1.0, n_batches * n_devices / float(run.trainer.num_training_batches))
    between_s = (n_epochs - 1) * times.between
    return times.setup + n_batches * times.step + budget.rungs * times.validation + between_s


def _n_batches(run: Run, budget: Budget, *, n_devices: int) -> float | None:
    """Return the batches of a whole training on each of its devices."""
    trainer, counted = run.trainer, run.rungs
    epoch: float = trainer.num_training_batches
    match budget.unit:
        case "epochs":
            return None if math.isinf(epoch) else float(budget.amount * epoch / n_devices)
        case "steps" if math.isinf(epoch):
            return float(budget.amount * trainer.accumulate_grad_batches)
        case "steps":
            return float(budget.amount * epoch / batches_in_steps(trainer, epoch))
        case _:
            return float(budget.amount * counted.batches / max(1, counted.samples_seen or 0) / n_devices)
