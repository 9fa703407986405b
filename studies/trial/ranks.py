"""What the processes of one trial agree upon. Usually there is one (`ALONE`); with several devices a trial, a group.

Whatever decides how a training goes on must come out alike in every process, or one of them waits for the others for
ever: so callbacks decide on what all ranks have shared, never on a number of their own.
"""

from __future__ import annotations

import time
from typing import Literal, Protocol

Point = Literal["check-in", "loss", "samples", "rung", "verdict", "stop", "end"]


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

    def now(self) -> float:
        """Its own clock."""
        return time.perf_counter()


ALONE = Alone()
