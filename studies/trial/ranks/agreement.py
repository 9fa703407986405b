"""The agreement between the processes of one trial: usually one (`ALONE`), with several devices a trial a group.

A decision about the training must come out alike in every process, or one waits for the others for ever. So callbacks
decide on shared numbers, never on a number of their own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

SyncPoint = Literal[
    "check-in",
    "clock",
    "loss",
    "samples",
    "fresh",
    "rung",
    "verdict",
    "stop",
    "save",
    "resumed",
    "weights",
    "end",
]


class RanksOutOfStep(RuntimeError):
    """The ranks of a trial have reached different points of the training."""


class TrialRanks:
    """The processes of one trial, seen from one of them: here from the only one. `RankGroup` is for several."""

    rank = 0  # of this process
    size = 1  # number of processes

    def share(self, point: SyncPoint, *numbers: float) -> list[tuple[float, ...]]:
        """Return the `numbers` of every rank, by rank. All ranks have to call it at the same `point` of the training.

        Raises `RanksOutOfStep` where they do not.
        """
        return [numbers]

    def gather(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the `value` of every rank, by rank. It has to be picklable. All ranks have to call it at once."""
        return [value]

    def average(self, tensor: Tensor) -> Tensor:
        """Return the mean over all ranks, on the CPU if there are several. All ranks have to call it at once."""
        return tensor

    def read_clock(self) -> None:
        """Have all ranks look at the clock. All of them have to call it at once."""

    def now(self) -> float:
        """Return seconds on a clock that reads the same on all ranks between two of their common looks at it."""
        return time.perf_counter()


ALONE = TrialRanks()


class StopTogether:
    """Sets `should_stop` on all ranks where a user's callback has set it on one. It has to be the last callback.

    A rank that stops alone leaves the others waiting for its gradients. This costs an agreement a batch, so only trials
    with callbacks in their config have it.
    """

    def __init__(self, ranks: TrialRanks) -> None:
        self._ranks = ranks

    def agree(self, trainer: Trainer, *_: Any) -> None:
        """Agree after the other callbacks."""
        shared = self._ranks.share("stop", trainer.should_stop)
        trainer.should_stop = any(stops for (stops,) in shared)

    on_train_batch_end = on_validation_end = on_train_epoch_end = agree
