"""The recorded table as a problem of the benchmark: a trial draws a cell and one of its recorded seeds.

A parameter is the index of its level, because the levels are even steps on the searched scale. A search sees single
trainings and is judged by the cell's mean over all seeds, so a lucky seed does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from studies.config.settings import Direction
from studies.config.space import Point
from studies.sampler_benchmark.problem import NEAR, Marks, Observation
from studies.sampler_benchmark.table import TableAxis, TrainingTable, read_table


class RecordedTable:
    """The table at `path`, by default the shipped one. Raises `BadInput` if there is none.

    The mean of a cell within 1 % of the best is worse than the best mean by at most 1 % of it.
    """

    def __init__(self, path: str | None = None) -> None:
        self.table = _read(path)
        self._means = self.table.means()

    @property
    def direction(self) -> Direction:
        """The direction of the recorded study."""
        return self.table.direction

    @property
    def n_rungs(self) -> int:
        """The number of values of a training."""
        return self.table.n_rungs

    @property
    def search_space(self) -> Mapping[str, Mapping[str, Any]]:
        """The axes with more than one level."""
        return {
            axis.name: {"type": "int", "low": 0, "high": len(axis.levels) - 1}
            if axis.ordered
            else {"type": "categorical", "choices": list(axis.levels)}
            for axis in self.table.axes
            if len(axis.levels) > 1
        }

    @property
    def marks(self) -> Marks:
        """The marks over all cells."""
        best = float(self._means.max() if self.direction == "maximize" else self._means.min())
        return Marks(best, float(np.median(self._means)), NEAR * abs(best))

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        """Return a recorded training of the cell: that of `replicate`, modulo the recorded seeds."""
        place = (*self._place(point), replicate % self.table.n_seeds)
        values = self.table.values[place]
        finite = tuple(float(value) for value in values[: len(values) - int(np.isnan(values).sum())])
        return Observation(finite, float(self.table.seconds[place]))

    def truth(self, point: Point) -> float:
        """Return the mean of the cell."""
        return float(self._means[self._place(point)])

    def _place(self, point: Point) -> tuple[int, ...]:
        return tuple(_index(axis, point) for axis in self.table.axes)


def _index(axis: TableAxis, point: Point) -> int:
    """Return the index of the point's level on an axis."""
    if len(axis.levels) == 1:
        return 0
    value = point[axis.name]
    if axis.ordered:
        assert isinstance(value, int)
        return value
    return axis.levels.index(value)


@cache
def _read(path: str | None) -> TrainingTable:
    return read_table(Path(path) if path is not None else None)
