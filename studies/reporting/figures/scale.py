"""A parameter along the side of a figure: on its own scale, choices in their order.

A *cell* is an entry of a CSV: a number in the parameter's own unit, or a choice's name. A *place* is its position in
the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from studies.reporting.csv_table import Cell
from studies.reporting.figures.subject import short
from studies.text.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from studies.analysis.axis import Array, Axis

Side = Literal["x", "y"]

MAX_TICKS = 10  # of more levels, only some are written out
MAX_SMALL_TICKS = 5
LONG = 40  # letters of all ticks together that fit side by side
SMALL_LONG = 12
MAX_LETTERS = 16  # of a tick


def middles(axis: Axis, n: int) -> Array:
    """Return positions in [0, 1] to draw a function at: the levels, or the middles of `n` cells."""
    return axis.nodes()[0] if axis.levels else (np.arange(n) + 0.5) / n


def along(axis: Axis, n: int) -> Array:
    """Return positions in [0, 1] for a line from end to end: the levels, or `n` points."""
    return axis.nodes()[0] if axis.levels else np.linspace(0.0, 1.0, n)


def cells_at(axis: Axis, unit: Array) -> list[Cell]:
    """Return the cells at positions in [0, 1]."""
    return cells_of(axis, axis.at(unit))


def cells_of(axis: Axis, encoded: Iterable[float]) -> list[Cell]:
    """Return the cells of encoded values, None for an inactive parameter."""
    return [None if np.isnan(value) else _cell(axis, float(value)) for value in encoded]


def places_of(axis: Axis, cells: Sequence[Cell]) -> Array:
    """Return the places of cells."""
    if axis.kind != "categorical":
        return np.array([np.nan if cell is None else cell for cell in cells], dtype=float)
    order: dict[Cell, float] = {str(value): float(i) for i, value in enumerate(axis.values)}
    return np.array([order.get(cell, np.nan) for cell in cells])


def edges(axis: Axis, n: int) -> Array:
    """Return the n + 1 ends of the cells around `middles`."""
    if not axis.levels:
        encoded = np.linspace(axis.low, axis.high, n + 1)
    else:
        levels = np.array(axis.levels)
        between = (levels[1:] + levels[:-1]) / 2
        encoded = np.concatenate([[2 * levels[0] - between[0]], between, [2 * levels[-1] - between[-1]]])
    return _plain(axis, encoded)


def is_logarithmic(axis: Axis) -> bool:
    """Return whether the parameter has a logarithmic scale."""
    return axis.scale != "linear"


def dress(axes: Axes, side: Side, axis: Axis, *, is_small: bool = False) -> None:
    """Give one side of a figure the parameter's scale, limits, ticks and name."""
    line = axes.xaxis if side == "x" else axes.yaxis
    set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if side == "x" else (axes.set_yscale, axes.set_ylim)
    if is_logarithmic(axis):
        set_scale("log", base=2 if axis.scale == "log2" else 10)
    if axis.kind == "categorical":
        set_limits(-0.5, len(axis.values) - 0.5)
    else:
        ends = edges(axis, 1)
        set_limits(ends[0], ends[-1])
    if axis.levels:
        ticks = _ticks(axis, MAX_SMALL_TICKS if is_small else MAX_TICKS)
        names = [short(shown(tick), MAX_LETTERS) for tick in ticks]
        line.set_ticks([], minor=True)
        line.set_ticks([float(place) for place in places_of(axis, ticks)], labels=names)
        if side == "x" and sum(map(len, names)) > (SMALL_LONG if is_small else LONG):
            for label in line.get_ticklabels():
                label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")
    (axes.set_xlabel if side == "x" else axes.set_ylabel)(short(axis.name))


def _ticks(axis: Axis, at_most: int) -> list[Cell]:
    """Return the levels to write out: all choices, or at most `at_most` levels at even steps."""
    step = 1 if axis.kind == "categorical" else -(-len(axis.levels) // at_most)
    return cells_of(axis, axis.levels[::step])


def _cell(axis: Axis, encoded: float) -> Cell:
    """Return a choice's name, or a number in the parameter's own unit."""
    if axis.kind == "categorical":
        return str(axis.decode(encoded))
    value = axis.decode(encoded) if axis.levels else _plain(axis, np.array(encoded)).item()
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _plain(axis: Axis, encoded: Array) -> Array:
    """Return encoded numbers in the parameter's own unit, levels or not."""
    match axis.scale:
        case "linear":
            return encoded
        case "log10":
            return np.asarray(10.0**encoded)
        case "log2":
            return np.asarray(2.0**encoded)
