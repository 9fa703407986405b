"""What the processes of one trial agree upon. Usually there is one (`ALONE`); with several devices a trial, a group.

Whatever decides how a training goes on must come out alike in every process, or one of them waits for the others for
ever: so callbacks decide on what all ranks have shared, never on a number of their own.
"""

from __future__ import annotations

import time
from typing import Any, Literal, Protocol

from torch import Tensor

Point = Literal[
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


class Ranks(Protocol):
    """The processes that train one trial together, seen from one of them."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    def share(self, point: Point, *numbers: float) -> list[tuple[float, ...]]:
        """The `numbers` of every rank, by rank. All ranks have to call it at the same `point` of the training.

        Raises `RanksParted` where they do not.
        """

    def gather(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """The `value` of every rank, by rank: something that can be pickled. All ranks have to call it at once."""

    def average(self, tensor: Tensor) -> Tensor:
        """The mean over all ranks, on the CPU where there are several. All ranks have to call it at once."""

    def read_clock(self) -> None:
        """Have all ranks look at the clock. All of them have to call it at once."""

    def now(self) -> float:
        """Seconds on a clock that reads the same on all ranks between two of their common looks at it."""


class RanksParted(RuntimeError):
    """The ranks of a trial no longer do the same."""


class Alone:
    """The one process of a trial."""

    rank = 0
    size = 1

    def share(self, point: Point, *numbers: float) -> list[tuple[float, ...]]:
        """Its own numbers."""
        return [numbers]

    def gather(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Its own value."""
        return [value]

    def average(self, tensor: Tensor) -> Tensor:
        """Its own tensor."""
        return tensor

    def read_clock(self) -> None:
        """Its clock runs by itself."""

    def now(self) -> float:
        """Its own clock."""
        return time.perf_counter()


ALONE = Alone()
