"""The points that trials tried: those of trials with a value, and of trials that diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from studies.analysis.axis import Array, Axis, axes_of, encoded, is_inside, levelled


@dataclass(frozen=True, slots=True)
class Tried:
    """Trials with a value, and after them those without one that diverged or ran out of memory.

    A level of a parameter at which all trials diverge is seen here alone.

    x: (n + n_diverged, d) in the axes' encoded units, NaN for a parameter that was not active
    """

    axes: tuple[Axis, ...]
    x: Array
    n_diverged: int

    def active_everywhere(self) -> Tried:
        """Return the same trials with the parameters that all of them had, by name."""
        columns = sorted(np.flatnonzero(~np.isnan(self.x).any(axis=0)), key=lambda i: self.axes[i].name)
        return Tried(tuple(self.axes[i] for i in columns), self.x[:, columns], self.n_diverged)

    @property
    def unit(self) -> Array:
        """The parameters' positions in [0, 1]: (n + n_diverged, d)."""
        return np.column_stack([axis.unit(self.x[:, i]) for i, axis in enumerate(self.axes)] or [self.x])


def tried_of(
    valued: Sequence[FrozenTrial],
    diverged: Sequence[FrozenTrial],
    params: Sequence[str] | None,
    powers_of_two: frozenset[str],
) -> Tried:
    """Return the points of both, without diverged trials outside the ranges."""
    axes, _ = axes_of([*valued, *diverged], params, powers_of_two)
    inside = [trial for trial in diverged if is_inside(trial, axes)]
    return Tried(axes, points_of([*valued, *inside], axes), len(inside))


def points_of(trials: Sequence[FrozenTrial], axes: Sequence[Axis]) -> Array:
    """Return the trials' encoded parameters: (n, d)."""
    points = [[encoded(axis, trial) for axis in axes] for trial in trials]
    return np.array(points, dtype=float).reshape(len(trials), len(axes))


def with_levels(axes: Sequence[Axis], x: Array) -> tuple[Axis, ...]:
    """Return the axes with the tried levels as the measure of each numeric one."""
    found = []
    for axis, column in zip(axes, x.T, strict=True):
        levels = np.unique(column[~np.isnan(column)])
        numeric = axis.kind != "categorical" and len(levels) < (len(axis.levels) or math.inf)
        values = [axis.decode(level) for level in levels]
        found.append(levelled(axis.name, "discrete", axis.scale, levels.tolist(), values) if numeric else axis)
    return tuple(found)
