"""Paired comparisons: two settings under the same training seeds, and Holm's correction over several of them.

Under the same seed two trainings share the split, the first weights' stream and the order of the data, so their
difference varies less than either: comparing seed by seed is what makes few seeds suffice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL, POWER

SAME = 1e-12  # a relative spread below it is rounding


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean of paired differences a - b, and the two-sided p of no difference (Student's t)."""

    difference: Estimate
    p: float


def mean(values: Sequence[float] | npt.NDArray[np.float64], *, widened: float = 1.0, level: float = LEVEL) -> Estimate:
    """Return the mean of finite `values` (n,), n at least 1, with its interval at `level`.

    It is `widened` times as wide as that of independent values.
    """
    array = np.asarray(values, dtype=float)
    n, middle = len(array), float(array.mean())
    if n < 2:
        return Estimate(middle, n=n, level=level)
    half = widened * _quantile(level, n) * float(array.std(ddof=1)) / math.sqrt(n)
    return Estimate(middle, middle - half, middle + half, n, level)


def paired(a: Sequence[float], b: Sequence[float], *, widened: float = 1.0, level: float = LEVEL) -> Paired:
    """Compare `a` with `b` (n,), entry by entry of one seed. `widened` and `level` are as in `mean`.

    Accuracies are coarse, and differences can be the same for each seed by chance. Their spread is then taken for the
    smallest step between any two of the values, and p is at least that of the sign test. If all values are equal there
    is no step and no interval, and p is 1. So it is for a single pair. Raises ValueError for lengths that differ.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values are compared with {len(b)}: give one of each for every seed")
    differences = np.subtract(a, b, dtype=float)
    n, found = len(differences), mean(differences, widened=widened, level=level)
    if n < 2:
        return Paired(found, 1.0)
    error = widened * float(differences.std(ddof=1)) / math.sqrt(n)
    if error > SAME * max(1.0, abs(found.value)):
        return Paired(found, _p(found.value, error, n))
    error = widened * _step([*a, *b]) / math.sqrt(n)
    if not error:
        return Paired(replace(found, lo=None, hi=None), 1.0)
    half = error * _quantile(level, n)
    by_signs = 2 * 0.5**n if abs(found.value) > SAME else 1.0
    found = replace(found, lo=found.value - half, hi=found.value + half)
    return Paired(found, max(by_signs, _p(found.value, error, n)))


def _p(mean_: float, error: float, n: int) -> float:
    return float(2 * t.sf(abs(mean_) / error, n - 1))


def _step(values: Sequence[float]) -> float:
    """Return the smallest difference between two of `values` beyond rounding, 0 if all are equal."""
    gaps = np.diff(np.sort(np.asarray(values, dtype=float)))
    return float(min(gaps[gaps > SAME * max(1.0, float(np.abs(values).max()))], default=0.0))


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjustment of `p` values, in their order (Holm 1979).

    Rejecting those at most 5 % keeps the chance of any false rejection at 5 %, whatever their dependence.
    """
    adjusted = [0.0] * len(p)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[i] * (len(p) - rank)))
        adjusted[i] = highest
    return adjusted


def at_level(found: Estimate, level: float) -> Estimate:
    """Return a mean of `mean` or `paired` with its interval at another `level`."""
    if found.lo is None or found.hi is None or found.n is None:
        return replace(found, level=level)
    half = (found.hi - found.value) * _quantile(level, found.n) / _quantile(found.level, found.n)
    return replace(found, lo=found.value - half, hi=found.value + half, level=level)


def needed(found: Estimate, *, boundary: float, power: float = POWER) -> int | None:
    """Return how many seeds in all would part the mean from `boundary`, if mean and spread stay as they are.

    The new interval leaves out the boundary with a chance of `power`. It shrinks with the root of their number and with
    the quantile of Student's t. None if the mean lies on the boundary, or without an interval.
    """
    distance, n = abs(found.value - boundary), found.n
    if found.lo is None or found.hi is None or n is None or not distance > 0:
        return None
    towards = found.value - found.lo if boundary < found.value else found.hi - found.value
    spread = towards * math.sqrt(n) / _quantile(found.level, n)

    def reach(m: int) -> float:
        return (_quantile(found.level, m) + float(t.ppf(power, float(m - 1)))) * spread / math.sqrt(m)

    low, high = n + 1, max(n + 1, math.ceil(n * (reach(n) / distance) ** 2))
    while low < high:
        middle = (low + high) // 2
        if reach(middle) <= distance:
            high = middle
        else:
            low = middle + 1
    return low


@cache
def _quantile(level: float, n: int) -> float:
    return float(t.ppf((1 + level) / 2, float(n - 1)))
