"""The rule that says whether trials fall into two groups: those that train, and those that diverge or get stuck.

There are two groups if five or more trials, and 2 % or more, diverged or ran out of memory. There are also two if the
values are not unimodal, and the worse ones are so much worse that they fail in practice (failing.py).

Hartigan's dip test (Hartigan & Hartigan 1985) says whether they are unimodal. The dip is the distance of their
distribution from the nearest one with one mode. Times the root of their number, it has to be above .42. Values over two
decades are taken on the log scale. The border lies at the lowest point between both modes, of the smoothest density
with two.

Measured on 4,080 studies of 60, 100 and 200 trials with one group (200 of each size with normal values, t with 3
degrees of freedom, exponential, log-normal, beta and uniform ones, and 480 of three surfaces of the trust benchmark):
.7 % are split. It is 4 % of those with uniform values, which lie at the border to two groups, and .2 % of the others.
With two groups, on two surfaces of that benchmark with 40 random searches of each size, 75 and 55 % of the studies are
split at 60 trials, 93 and 65 % at 100, and 100 and 93 % at 200. The dip test alone splits the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array
from studies.analysis.table import TrialsTable
from studies.analysis.training.failing import fails

MIN_GROUP = 5  # trials
LEAST_SHARE = 0.02  # of the trials, in a group
MIN_VALUES = 20  # from which a distribution is judged
LEAST_DIP = 0.42  # times the root of the number of values
DECADES = 2.0  # over which values count on the log scale
N_GRID = 256  # positions at which a density is looked at
NARROWER = 0.9  # from one bandwidth to the next
SHARPER = 2.0  # the density that the border is read from


@dataclass(frozen=True, slots=True)
class TwoGroups:
    """Trials that train and trials that do not.

    border: the value between both, None if only trials without a value do not train
    trains: (n,), 1 or 0 for a trial with a value, and a chance for one whose last value is predicted
    n_diverged: trials without a value that diverged or ran out of memory, which do not train
    """

    border: float | None
    trains: Array
    n_diverged: int

    @property
    def trained(self) -> npt.NDArray[np.bool_]:
        """The mask of trials with a value that rather train: (n,)."""
        return np.asarray(self.trains >= 0.5)

    @property
    def n_trained(self) -> int:
        """How many trials train."""
        return int(self.trained.sum())

    @property
    def n_others(self) -> int:
        """How many trials do not."""
        return len(self.trains) - self.n_trained + self.n_diverged


def two_groups(table: TrialsTable) -> TwoGroups | None:
    """Return both groups of the trials of `table`, None if there are not two."""
    border = border_of(table.y)
    if border is not None and not fails(table.loss, -border if table.maximize else border):
        border = None
    if border is None:
        trains = np.ones(len(table.y))
    else:
        trains = ((table.draws >= border) if table.maximize else (table.draws <= border)).mean(axis=0)
    found = TwoGroups(border, trains, 0 if table.tried is None else table.tried.n_diverged)
    smaller = min(found.n_trained, found.n_others)
    return found if smaller >= max(MIN_GROUP, LEAST_SHARE * (found.n_trained + found.n_others)) else None


def border_of(y: Array) -> float | None:
    """Return the value between two groups of values `y` (n,), None if they are one."""
    if len(y) < MIN_VALUES or np.ptp(y) == 0:
        return None
    is_wide = y.min() > 0 and np.log10(y.max() / y.min()) > DECADES
    values = _without_ties(np.log(y) if is_wide else y)
    if dip(values) * np.sqrt(len(y)) <= LEAST_DIP:
        return None
    border = _antimode(values)
    return None if border is None else float(np.exp(border)) if is_wide else border


def dip(values: Array) -> float:
    """Return the greatest distance between the distribution of `values` (n,) and the nearest unimodal one.

    For a mode at a given value, the nearest distribution is convex up to it and concave after it. The farther to the
    right the mode lies, the greater is the distance on its left, and the less on its right.
    """
    x, counts = np.unique(values, return_counts=True)
    after = np.cumsum(counts) / len(values)
    before = after - counts / len(values)

    def left(mode: int) -> float:
        part = slice(0, mode + 1)
        return float(np.max(after[part] - _convex(x[part], before[part])))

    def right(mode: int) -> float:
        return float(np.max(-_convex(x[mode:], -after[mode:]) - before[mode:]))

    low, high = 0, len(x) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if left(middle) < right(middle) else (low, middle)
    return min(max(left(mode), right(mode)) for mode in (low, high)) / 2


def _convex(x: Array, y: Array) -> Array:
    """Return the greatest convex function below the points, at ascending `x`."""
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) > 1:
            a, b = corners[-2:]
            if (y[b] - y[a]) * (x[i] - x[b]) < (y[i] - y[b]) * (x[b] - x[a]):
                break
            corners.pop()
        corners.append(i)
    return np.interp(x, x[corners], y[corners])


def _without_ties(values: Array) -> Array:
    """Return ascending values, equal ones spread evenly over the least distance between two others.

    A metric with few digits has ties everywhere, and none of them is a mode.
    """
    ordered = np.sort(values)
    distinct, place, counts = np.unique(ordered, return_inverse=True, return_counts=True)
    if len(distinct) == len(ordered):
        return ordered
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return np.asarray(ordered + ((rank + 0.5) / counts[place] - 0.5) * np.diff(distinct).min())


def _antimode(values: Array) -> float | None:
    """Return the lowest point between the modes of the smoothest density that has two groups, None if none has.

    That density is drawn towards the wider group, so a sharper one is looked at between its modes.
    """
    grid = np.linspace(values.min(), values.max(), N_GRID)
    bandwidth = float(values.std())
    while bandwidth > np.ptp(grid) / N_GRID:
        density = _density(values, grid, bandwidth)
        lows = np.flatnonzero((density[1:-1] < density[:-2]) & (density[1:-1] <= density[2:])) + 1
        below = np.searchsorted(values, grid[lows])
        lows = lows[np.minimum(below, len(values) - below) >= MIN_GROUP]
        if len(lows):
            low = lows[np.argmin(density[lows])]
            between = slice(np.argmax(density[:low]), low + 1 + np.argmax(density[low:]))
            return float(grid[between][np.argmin(_density(values, grid[between], bandwidth / SHARPER))])
        bandwidth *= NARROWER
    return None


def _density(values: Array, grid: Array, bandwidth: float) -> Array:
    return np.asarray(np.exp(-(((grid[:, None] - values) / bandwidth) ** 2) / 2).sum(axis=1))
