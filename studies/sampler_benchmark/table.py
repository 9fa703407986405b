"""The recorded table: real trainings at every cell of a factorial, each with several seeds, in one file.

An npz archive, read without pickle, with three entries:

- `values` (levels of each axis…, seeds, rungs), NaN after a training has diverged
- `seconds` (levels…, seeds) of whole trainings
- `description`, a JSON text with the axes and the origin of the numbers

In the benchmark, a trial draws a cell and one of its recorded seeds. A parameter is the index of its level, because the
levels are even steps on the searched scale. A search sees single trainings and is judged by the cell's mean over all
seeds, so a lucky seed does not count.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from studies.analysis.axis import Array
from studies.config.parameter import Value
from studies.config.settings import Direction
from studies.config.space import Point
from studies.errors import BadInput, Problem
from studies.sampler_benchmark.problem import NEAR, Marks, Observation

SHIPPED = "digits_mlp.npz"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class TableAxis:
    """A parameter with its levels in order."""

    name: str
    levels: tuple[Value, ...]
    ordered: bool  # false for choices


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A dense replicated factorial."""

    axes: tuple[TableAxis, ...]
    direction: Direction
    metric: str
    values: Array  # (levels of each axis…, seeds, rungs)
    seconds: Array  # (levels…, seeds)
    origin: Mapping[str, Any]  # config, budget, versions, date, machine

    @property
    def n_seeds(self) -> int:
        """The number of trainings of a cell."""
        return int(self.values.shape[-2])

    @property
    def n_rungs(self) -> int:
        """The number of values of a training."""
        return int(self.values.shape[-1])

    def means(self) -> Array:
        """Return the mean over seeds of the last value (levels…). A diverged training counts as the worst of all."""
        last = self.values[..., -1]
        worst = np.nanmin(last) if self.direction == "maximize" else np.nanmax(last)
        mean: Array = np.where(np.isnan(last), worst, last).mean(axis=-1)
        return mean


def write_table(path: Path, table: TrainingTable) -> Path:
    """Write `table`, in single precision."""
    axes = [{"name": axis.name, "levels": list(axis.levels), "ordered": axis.ordered} for axis in table.axes]
    description = {
        "format": FORMAT,
        "axes": axes,
        "direction": table.direction,
        "metric": table.metric,
        "origin": table.origin,
    }
    np.savez_compressed(
        path,
        values=table.values.astype(np.float32),
        seconds=table.seconds.astype(np.float32),
        description=np.array(json.dumps(description)),
    )
    return path


def read_table(path: Path | None = None) -> TrainingTable:
    """Read the table at `path`, by default the shipped one. Raises `BadInput` if there is none."""
    try:
        if path is None:
            with resources.as_file(resources.files("studies.sampler_benchmark") / "data" / SHIPPED) as shipped:
                return _read(shipped)
        return _read(path)
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        complaint = f"is {path or SHIPPED}, which is no recorded table ({type(error).__name__}: {error})"
        remedy = "give a file of python -m studies.sampler_benchmark.record, or null for the shipped table"
        raise BadInput([Problem("problem.path", complaint, remedy)]) from None


def _read(path: Path) -> TrainingTable:
    with np.load(path, allow_pickle=False) as file:
        described = json.loads(str(file["description"]))
        values, seconds = file["values"].astype(float), file["seconds"].astype(float)
    if described["format"] != FORMAT:
        raise ValueError(f"its format is {described['format']}, not {FORMAT}")
    axes = tuple(TableAxis(axis["name"], tuple(axis["levels"]), axis["ordered"]) for axis in described["axes"])
    shape = tuple(len(axis.levels) for axis in axes)
    if values.shape[:-2] != shape or seconds.shape != values.shape[:-1]:
        raise ValueError(f"its values have the shape {values.shape} for axes of {shape}")
    return TrainingTable(axes, described["direction"], described["metric"], values, seconds, described["origin"])


class RecordedTable:
    """The table at `path`, by default the shipped one. Raises `BadInput` if there is none.

    The mean of a cell within 1 % of the best is worse than the best mean by at most 1 % of it.
    """

    def __init__(self, path: str | None = None) -> None:
        self.table = _read_once(path)
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
def _read_once(path: str | None) -> TrainingTable:
    return read_table(Path(path) if path is not None else None)
