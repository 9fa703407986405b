"""What a whole training takes, estimated from two short epochs of it.

Setting up, a step and a rung are told apart: the first is paid once a trial, the second as often as the budget says,
the third (validation, the beginning of an epoch, the report) once a rung. The second of two epochs has no setting up in
it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch

from studies.budget import Budget
from studies.trial.length import n_steps
from studies.trial.training import Run

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

N_TIMED = 10  # batches of each of the two epochs, whose steps are timed
TWO_EPOCHS = Budget("epochs", 2, 2)


class StepTimes:
    """The seconds from the end of a batch to the end of the next one of the same epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._ended: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with no batch."""
        self._ended = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time at which the device has done what it was asked for."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize(trainer.strategy.root_device)
        self._ended.append(time.perf_counter())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the times between the batches."""
        self.seconds += [later - earlier for earlier, later in pairwise(self._ended)]


def whole_training_s(run: Run, budget: Budget, config: Mapping[str, Any], *, n_devices: int) -> float | None:
    """Seconds of a training of `config` for `budget` on each of `n_devices`, from its `run`, which is fitted here.

    It is to be two epochs of up to `N_TIMED` batches with whole validations. None where the loader does not tell how
    long an epoch is.
    """
    times = run.package.callback(StepTimes)()
    run.trainer.callbacks.append(times)
    training = run.fit()
    limit = (config.get("trainer") or {}).get("limit_train_batches")
    n_batches = _n_batches(budget, run, limit, n_devices=n_devices)
    if n_batches is None:
        return None
    if len(training.rungs) < 2:  # it diverged, or a callback stopped it
        return training.seconds * budget.rungs
    first_s, both_s = (rung.seconds for rung in training.rungs[:2])
    epoch_s = both_s - first_s
    step_s = mean(times.seconds) if times.seconds else epoch_s
    rung_s = max(0.0, epoch_s - step_s * run.rungs.batches / 2)
    return max(0.0, first_s - epoch_s) + n_batches * step_s + budget.rungs * rung_s


def _n_batches(budget: Budget, run: Run, limit: float | None, *, n_devices: int) -> float | None:
    """Batches of a whole trial, on each of its devices; `limit` is the Trainer's, of an epoch: a number or a share."""
    if budget.unit == "steps":
        return budget.amount * run.rungs.batches / max(1, n_steps(run.trainer, run.rungs))
    if budget.unit == "samples":
        return budget.amount * run.rungs.batches / run.rungs.samples_seen / n_devices
    loader: Any = run.trainer.train_dataloader
    if not hasattr(loader, "__len__"):
        return None if not isinstance(limit, int) else float(budget.amount * limit)
    n_batches = len(loader) / n_devices
    if limit is not None:
        n_batches = min(n_batches, limit) if isinstance(limit, int) else n_batches * limit
    return float(budget.amount * n_batches)
