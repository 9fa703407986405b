"""Tell for each parameter whether the best lies at a limit of its range.

A single best trial says little, for noise picks it. If a predictive function was fitted (no verdict *unreliable*), each
function drawn from its posterior is minimised. The confidence that the best lies at a limit is the share of draws with
their minimum in the outer 8 % of the range there, or at the outermost value of a parameter with few. A parameter
without effect has its best anywhere, so nothing is told of it. A value is *surely worse* if 97.5 % of the draws lose
more than a tenth of the trials' standard deviation there, all other parameters being free.

Without such a function the trials themselves are asked. The best tenth must lie near the limit, and the value must
improve towards it in the third of the range before it (Spearman's rank correlation, one-sided, Bonferroni over
parameters and sides).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from studies.analysis.axis import Array, Axis
from studies.analysis.levels import AT_LIMIT, MIN_TREND_TRIALS, SURELY_WORSE
from studies.analysis.table import TrialsTable
from studies.analysis.tuning.one_at_a_time import N_VALUES
from studies.analysis.tuning.tunability import Tunability

EDGE = 0.08  # of the range: nearer to a limit than this is at it, as the outermost position always is
LIKELY = 0.5  # more likely at a limit than not
MARGIN = 0.1  # of the trials' standard deviation: a smaller loss does not matter
TOP = 0.1  # of the trials
MIN_TOP = 5
NEAR = 0.2  # of the range, for the best trials, which scatter
OUTER = 1 / 3  # of the range, in which the trend is looked at


@dataclass(frozen=True, slots=True)
class Place:
    """The place of the best along one parameter.

    n: the trials with that parameter
    basis: the fitted `function`, the `trials`, or `nothing`
    best: the value with the least loss by the drawn functions, or the best trial's value
    at_low, at_high: the confidence that the best lies at that limit, NaN if not known
    worth: the least and the greatest encoded value that are not surely worse
    worse: the choices of a categorical that are
    """

    axis: Axis
    n: int
    basis: Literal["function", "trials", "nothing"]
    best: Any
    at_low: float = math.nan
    at_high: float = math.nan
    worth: tuple[float, float] | None = None
    worse: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.axis.name

    @property
    def limit(self) -> Literal["low", "high"] | None:
        """The limit of the best, if that is confident."""
        if self.at_low >= AT_LIMIT:
            return "low"
        return "high" if self.at_high >= AT_LIMIT else None

    @property
    def leaning(self) -> Literal["low", "high"] | None:
        """The limit of the best if it is more likely than not by the function, without being confident."""
        if self.basis != "function" or self.limit is not None or not max(self.at_low, self.at_high) > LIKELY:
            return None
        return "low" if self.at_low > self.at_high else "high"


def places(table: TrialsTable, profiles: Sequence[Tunability]) -> tuple[Place, ...]:
    """Return the place of the best along each parameter of `table`, by the fitted functions if they are usable."""
    found = {profile.name: _by_function(profile, table) for profile in profiles if profile.level != "unreliable"}
    return tuple(found.get(axis.name) or _by_trials(table, axis) for axis in table.axes)


def _by_function(found: Tunability, table: TrialsTable) -> Place:
    axis, positions = found.axis, found.positions
    own = found.losses - found.losses.min(axis=1, keepdims=True)
    margin = MARGIN * float(table.y[table.active([axis.name])].std())
    is_worse = np.mean(own > margin, axis=0) >= SURELY_WORSE
    if axis.kind == "categorical":
        worse = tuple(value for value, worse in zip(axis.values, is_worse, strict=True) if worse)
        return Place(axis, found.n, "function", found.best, worse=worse)
    if not found.matters:
        return Place(axis, found.n, "function", found.best)
    at = positions[own.argmin(axis=1)]
    return Place(
        axis,
        found.n,
        "function",
        found.best,
        at_low=float(np.mean(at <= EDGE)),
        at_high=float(np.mean(at >= 1 - EDGE)),
        worth=_worth(axis, positions, is_worse),
    )


def _worth(axis: Axis, positions: Array, is_worse: np.typing.NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the hull of all that is not surely worse, one position wider on both sides, in encoded units."""
    kept = np.flatnonzero(~is_worse)
    if not len(kept):
        return None
    if axis.levels:
        first, last = max(kept[0] - 1, 0), min(kept[-1] + 1, len(positions) - 1)
        ends = positions[[first, last]]
    else:
        half = 0.5 / N_VALUES
        ends = np.clip([positions[kept[0]] - 3 * half, positions[kept[-1]] + 3 * half], 0.0, 1.0)
    low, high = axis.at(ends).tolist()
    return low, high


def _by_trials(table: TrialsTable, axis: Axis) -> Place:
    rows = table.active([axis.name])
    x, loss = table.x[rows, table.names.index(axis.name)], table.loss[rows]
    if not len(loss):
        return Place(axis, 0, "nothing", None)
    best = axis.decode(float(x[np.argmin(loss)]))
    if axis.kind == "categorical" or len(loss) < MIN_TREND_TRIALS or np.ptp(loss) == 0:
        return Place(axis, len(loss), "nothing", best)
    unit = axis.unit(x)
    n_sides = 2 * len(table.axes)
    at_low, at_high = (_towards(u, loss, n_sides) for u in (unit, 1 - unit))
    return Place(axis, len(loss), "trials", best, at_low=at_low, at_high=at_high)


def _towards(distance: Array, loss: Array, n_sides: int) -> float:
    """Return the confidence that the best lies at `distance` 0."""
    n_top = max(MIN_TOP, round(TOP * len(loss)))
    top = distance[np.argsort(loss, kind="stable")[:n_top]]
    near = max(NEAR, float(distance.min()))
    outer = distance <= max(OUTER, float(np.unique(distance)[:2][-1]))
    if (
        np.median(top) > near
        or outer.sum() < MIN_TREND_TRIALS
        or np.ptp(distance[outer]) == 0
        or np.ptp(loss[outer]) == 0
    ):
        return 0.0
    p = float(spearmanr(distance[outer], loss[outer], alternative="greater").pvalue)
    return 1 - min(1.0, n_sides * p)
