"""Schedules of the learning rate: small callables that build Lightning's lr_scheduler.

Each takes an optimizer and the length of the training. The optimizer's own learning rate is the height of the schedule.
Schedules per epoch are torch's classes. Those per step are closed forms in torch's LambdaLR, which hold the last value.
Torch's own OneCycleLR divides by zero in short trainings and raises one step past the end, and its cosine annealing
rises again there. OneCycle leaves the momentum alone, which is a hyperparameter of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Protocol

from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, ReduceLROnPlateau, StepLR

from lightning_modules.checks import require, require_number, require_whole

START_OF_ONE_CYCLE = 1 / 25  # of the peak, as in torch and the paper (Smith & Topin, 2017, arXiv:1708.07120)
END_OF_ONE_CYCLE = START_OF_ONE_CYCLE / 1e4  # of the peak, as in torch


class Schedule(Protocol):
    """The schedule of a Classifier. n_steps and steps_per_epoch may be infinite."""

    def __call__(self, optimizer: Optimizer, *, n_steps: float, steps_per_epoch: float) -> LRSchedulerConfigType:
        """Return Lightning's lr_scheduler dictionary for a training of n_steps optimizer steps."""


@dataclass(frozen=True, slots=True)
class StepDecay:
    """Multiply the learning rate by the rate (0 to 1) every so many epochs."""

    rate: float
    every: int

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        require_whole(self.every, key="every", low=1, remedy="give 1 epoch or more")

    def __call__(self, optimizer: Optimizer, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary. The length of the training does not matter."""
        return {"scheduler": StepLR(optimizer, step_size=self.every, gamma=self.rate), "interval": "epoch"}


@dataclass(frozen=True, slots=True)
class ExponentialDecay:
    """Multiply the learning rate by the rate (0 to 1) after each epoch."""

    rate: float

    def __post_init__(self) -> None:
        _require_rate(self.rate)

    def __call__(self, optimizer: Optimizer, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary. The length of the training does not matter."""
        return {"scheduler": ExponentialLR(optimizer, gamma=self.rate), "interval": "epoch"}


@dataclass(frozen=True, slots=True)
class ReduceOnPlateau:
    """Multiply the learning rate by the rate once the monitored value has not fallen for more than patience epochs.

    An epoch before the first validation, as in a training limited in steps, does not count.
    """

    rate: float
    patience: int
    monitor: str = "val/loss"

    def __post_init__(self) -> None:
        remedy = "give a factor between 0 and 1"
        require_number(self.rate, key="rate", low=0, below=1, remedy=remedy)
        require(self.rate > 0, key="rate", value=self.rate, remedy=remedy)
        require_whole(self.patience, key="patience", low=0, remedy="give 0 epochs or more")

    def __call__(self, optimizer: Optimizer, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary. The length of the training does not matter."""
        scheduler = ReduceLROnPlateau(optimizer, factor=self.rate, patience=self.patience)
        return {"scheduler": scheduler, "interval": "epoch", "monitor": self.monitor, "strict": False}


@dataclass(frozen=True, slots=True)
class CosineDecay:
    """Let the learning rate fall along half a cosine, over all steps, to a floor given as a fraction of it.

    Source: Loshchilov & Hutter, 2017, arXiv:1608.03983, without restarts. Raises ValueError without an end.
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        _require_floor(self.floor)

    def __call__(self, optimizer: Optimizer, *, n_steps: float, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary for a training of n_steps optimizer steps."""
        _require_an_end(n_steps, schedule="CosineDecay")
        return _each_step(optimizer, lambda step: _cosine(1.0, self.floor, fraction=step / max(n_steps, 1)))


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """Let the learning rate rise in equal steps over the first fraction of the training, then fall as CosineDecay.

    The first step already moves, and the last step of the warm-up is at the full rate. Raises ValueError without an
    end.
    """

    warmup: float = 0.1
    floor: float = 0.0

    def __post_init__(self) -> None:
        _require_warmup(self.warmup)
        _require_floor(self.floor)

    def __call__(self, optimizer: Optimizer, *, n_steps: float, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary for a training of n_steps optimizer steps."""
        _require_an_end(n_steps, schedule="WarmupCosine")
        n_warmup = round(self.warmup * n_steps)

        def factor(step: int) -> float:
            if step < n_warmup:
                return (step + 1) / n_warmup
            return _cosine(1.0, self.floor, fraction=(step - n_warmup) / max(n_steps - n_warmup, 1))

        return _each_step(optimizer, factor)


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Let the learning rate rise along a cosine over the first fraction of the training, then fall to almost nothing.

    The values are those of torch's OneCycleLR with max_lr at the optimizer's learning rate. A warm-up of less than one
    step is left out. Source: Smith & Topin, 2017, arXiv:1708.07120. Raises ValueError without an end.
    """

    warmup: float = 0.3

    def __post_init__(self) -> None:
        _require_warmup(self.warmup)

    def __call__(self, optimizer: Optimizer, *, n_steps: float, **_: float) -> LRSchedulerConfigType:
        """Return Lightning's dictionary for a training of n_steps optimizer steps."""
        _require_an_end(n_steps, schedule="OneCycle")
        peak = max(self.warmup * n_steps - 1, 0.0)  # the step of the full rate, between two steps as a rule
        last = n_steps - 1

        def factor(step: int) -> float:
            if step < peak:
                return _cosine(START_OF_ONE_CYCLE, 1.0, fraction=step / peak)
            return _cosine(1.0, END_OF_ONE_CYCLE, fraction=(step - peak) / (last - peak) if last > peak else step)

        return _each_step(optimizer, factor)


def _each_step(optimizer: Optimizer, factor: Callable[[int], float]) -> LRSchedulerConfigType:
    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def _cosine(start: float, end: float, *, fraction: float) -> float:
    """Return half a cosine from start to end. Beyond fraction 1 it stays at the end."""
    return end + (start - end) * (1 + cos(pi * min(fraction, 1.0))) / 2


def _require_rate(rate: float) -> None:
    remedy = "give a factor above 0 and up to 1"
    require_number(rate, key="rate", low=0, remedy=remedy)
    require(0 < rate <= 1, key="rate", value=rate, remedy=remedy)


def _require_floor(floor: float) -> None:
    remedy = "give a fraction of the learning rate in [0, 1]"
    require_number(floor, key="floor", low=0, remedy=remedy)
    require(floor <= 1, key="floor", value=floor, remedy=remedy)


def _require_warmup(warmup: float) -> None:
    require_number(warmup, key="warmup", low=0, below=1, remedy="give a fraction of the training in [0, 1)")


def _require_an_end(n_steps: float, *, schedule: str) -> None:
    remedy = (
        f"{schedule} needs the number of steps: limit the training in epochs or steps, "
        "or choose StepDecay, ExponentialDecay, ReduceOnPlateau or no schedule"
    )
    require(0 <= n_steps < float("inf"), key="n_steps", value=n_steps, remedy=remedy)
