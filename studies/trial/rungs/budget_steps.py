"""The spent part of a budget, and the optimizer steps that it takes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, DistributedSampler

from studies.config.budget import Budget
from studies.trial.rungs.rungs import Rungs
from studies.trial.rungs.sizes import length_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

log = logging.getLogger(__name__)
Progress = Callable[["Trainer", Rungs, float], float]


def progress_of(budget: Budget) -> Progress:
    """Return a function of the Trainer, the rungs and the seconds that gives the spent fraction of `budget`."""
    match budget.unit:
        case "seconds":
            return lambda _trainer, _rungs, seconds: seconds / budget.amount
        case "samples":
            return lambda _trainer, rungs, _seconds: (rungs.count() or 0) / budget.amount
        case _:
            return lambda trainer, rungs, _seconds: n_steps(trainer, rungs) / budget.amount


def n_steps(trainer: Trainer, rungs: Rungs) -> int:
    """Return the optimizer steps so far, or the batches of a module that steps its optimizers itself."""
    return trainer.global_step if trainer.lightning_module.automatic_optimization else rungs.batches


def epoch_share(budget: Budget, trainer: Trainer, rungs: Rungs, *, batch_s: float) -> float | None:
    """Return the share of `budget` that one epoch spends, by the batches seen so far. None if it is unknown.

    `batch_s` is the seconds of a batch.
    """
    batches: float = trainer.num_training_batches
    if math.isinf(batches) or not rungs.batches:
        return None
    match budget.unit:
        case "epochs":
            return 1 / budget.amount
        case "steps":
            return batches_in_steps(trainer, batches) / budget.amount
        case "samples":
            return batches * (rungs.samples_seen or 0) / rungs.batches / budget.amount
        case "seconds":
            return batches * batch_s / budget.amount


def batches_in_steps(trainer: Trainer, n_batches: float) -> float:
    """Return the steps in an epoch of `n_batches`, or its batches for a module that steps its optimizers itself."""
    if not trainer.lightning_module.automatic_optimization:
        return n_batches
    return math.ceil(n_batches / trainer.accumulate_grad_batches)


class ScheduleLength:
    """Tells the Trainer the number of steps in a budget of samples where it is known, for learning-rate schedules.

    The budget itself ends by the samples seen. They are those of all `n_ranks`. With `shares_samplers` Lightning shares
    a DataLoader's samples out to them.
    """

    def __init__(self, n_samples: float, *, n_ranks: int = 1, shares_samplers: bool = True) -> None:
        self._n_samples = n_samples / n_ranks
        self._is_alone = n_ranks == 1
        self._n_shares = n_ranks if shares_samplers else 1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Count on a training loader made for that alone."""
        source: Any = getattr(trainer, "datamodule", None) or pl_module
        steps = steps_for(self._n_samples, source.train_dataloader(), trainer, n_shares=self._n_shares)
        if steps is None:
            log.info("the training loader does not tell how many steps the budget takes: schedules cannot know it")
        self._set(steps, trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count again on the present loader: a finder may have changed its batch size."""
        if self._is_alone:
            self._set(steps_for(self._n_samples, trainer.train_dataloader, trainer), trainer, pl_module)

    def _set(self, steps: int | None, trainer: Trainer, module: LightningModule) -> None:
        if steps is not None and module.automatic_optimization:
            trainer.fit_loop.epoch_loop.max_steps = steps


def steps_for(n_samples: float, loader: Any, trainer: Trainer, *, n_shares: int = 1) -> int | None:
    """Return the optimizer steps until a loader has given `n_samples`. None for a loader of unknown sizes.

    Each epoch may end in a short batch, and in a step over fewer batches than are accumulated otherwise. A DataLoader
    over a whole data set is shared out in `n_shares`, padded to equal ones. This counts on one of them.
    """
    batch_size = getattr(loader, "batch_size", None)
    total = getattr(loader, "n_samples", None) or length_of(getattr(loader, "dataset", None))
    n_batches, limit = length_of(loader), trainer.limit_train_batches
    if not batch_size or not total or not n_batches:
        return None
    if n_shares > 1 and isinstance(loader, DataLoader) and not isinstance(loader.sampler, DistributedSampler):
        total = math.ceil(total / n_shares)
        n_batches = total // batch_size if loader.drop_last else math.ceil(total / batch_size)
    n_batches = min(n_batches, limit) if isinstance(limit, int) else int(n_batches * (1.0 if limit is None else limit))
    epoch = min(total, n_batches * batch_size)
    whole, rest = divmod(n_samples, epoch)
    steps = int(whole) * math.ceil(n_batches / trainer.accumulate_grad_batches)
    return int(steps + math.ceil(math.ceil(rest / batch_size) / trainer.accumulate_grad_batches))
