"""Paired comparisons: two settings under the same training seeds, and Holm's correction over several of them.

Under the same seed two trainings share the split, the first weights' stream and the order of the data, so their
difference varies less than either: comparing seed by seed is what makes few seeds suffice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t

LEVEL = 0.95  # of every interval


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` values, with the 95 % interval of Student's t; the ends are None where n is below 2."""

    value: float
    lo: float | None
    hi: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval."""
        return None if self.lo is None else self.value - self.lo

    @property
    def standard_error(self) -> float | None:
        """Of the mean."""
        half = self.half_width
        return None if half is None else half / float(t.ppf((1 + LEVEL) / 2, self.n - 1))


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean of paired differences a - b, and the two-sided p of no difference (Student's t)."""

    difference: Mean
    p: float


def mean(values: Sequence[float] | npt.NDArray[np.float64]) -> Mean:
    """The mean of finite `values` (n,), n at least 1, with its interval."""
    array = np.asarray(values, dtype=float)
    n, middle = len(array), float(array.mean())
    if n < 2:
        return Mean(middle, None, None, n)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * array.std(ddof=1) / math.sqrt(n))
    return Mean(middle, middle - half, middle + half, n)


def paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    """Compare `a` with `b` (n,), entry by entry of one seed. A difference that is the same for each seed has p 0, one
    that is 0 for each has p 1; a single pair tells nothing: p is 1. Raises ValueError where the lengths differ."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values are compared with {len(b)}: give one of each for every seed")
    differences = np.subtract(a, b, dtype=float)
    found = mean(differences)
    if found.n < 2:
        return Paired(found, 1.0)
    error = float(differences.std(ddof=1)) / math.sqrt(found.n)
    if error <= 1e-12 * max(1.0, abs(found.value)):
        return Paired(found, 0.0 if abs(found.value) > 1e-12 else 1.0)
    return Paired(found, float(2 * t.sf(abs(found.value) / error, found.n - 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of `p` values, in their order (Holm 1979): rejecting those at most 5 % keeps the
    chance of any false rejection at 5 %, whatever their dependence."""
    adjusted = [0.0] * len(p)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[i] * (len(p) - rank)))
        adjusted[i] = highest
    return adjusted


def needed(difference: float, error: float, *, n: int, power: float = 0.8) -> int | None:
    """How many seeds in all would show `difference` with the given power, where `n` left a standard error of `error`;
    None where there is no difference to show. By the normal approximation of the paired t test."""
    if not abs(difference) > 0:
        return None
    sd = error * math.sqrt(n)
    z = float(t.ppf((1 + LEVEL) / 2, max(n - 1, 1))) + float(t.ppf(power, 10_000))
    return max(n + 1, math.ceil((z * sd / abs(difference)) ** 2))
