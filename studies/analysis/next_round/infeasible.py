"""Where in the space trials diverge or run out of memory: a threshold of one parameter, or of two together.

For each kind of failure, thresholds on both sides of each parameter and the choices of categoricals are tried, alone
and in pairs, as regions with a failure rate of their own. A region is told if its likelihood gains more than chance
gives the best of so many regions in one case out of twenty (χ², Bonferroni). Regions overlap, so that happens in far
fewer. A pair is told if it gains as much over the best single parameter. Rates have Clopper and Pearson's interval. A
region was chosen for its rate, so the rate within is somewhat too high. Of many values, thresholds are tried at some,
for speed. The edges of the chosen region are then moved to the best of all values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import binomtest, chi2

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import SIGNIFICANCE
from studies.config.parameter import Parameter, Value
from studies.config.space import Point, SearchSpace

MAX_THRESHOLDS = 40  # of a parameter, before the edges are moved
MAX_MOVES = 10  # of the edges of a pair in turn, which settle in two or three

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Side:
    """The values of one parameter from a limit on, up to a limit, or one choice."""

    name: str
    relation: Literal["≥", "≤", "is"]
    limit: Value

    def __str__(self) -> str:
        limit = f"{self.limit:.4g}" if isinstance(self.limit, float) else str(self.limit)
        return f"{self.name} {self.relation} {limit}"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many trials failed, and their share of all `share.n` trials. Of no trials, the share is NaN."""

    failed: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Region:
    """Where trials end in `failure`: all of its one or two `sides` hold. `outside` are all other trials."""

    failure: str
    sides: tuple[Side, ...]
    inside: Rate
    outside: Rate


Candidate = tuple[Side, Bools]  # a side, and for which trials it holds: (n,)


def infeasible(space: SearchSpace, points: Sequence[Point], failures: Sequence[str | None]) -> tuple[Region, ...]:
    """Return the region of each kind of failure, if there is one.

    `failures` (n,) says how the trials at `points` (n,) failed. None: they gave a value.
    """
    found = []
    for kind in sorted({failure for failure in failures if failure is not None}):
        compared = [i for i, failure in enumerate(failures) if failure in (None, kind)]
        failed = np.array([failures[i] == kind for i in compared])
        region = _region(kind, space, [points[i] for i in compared], failed)
        found += [region] if region is not None else []
    return tuple(found)


def _region(kind: str, space: SearchSpace, points: Sequence[Point], failed: Bools) -> Region | None:
    found = [candidate for parameter in space for candidate in _sides(parameter, points, most=MAX_THRESHOLDS)]
    if not found or failed.all():
        return None
    sides = [side for side, _ in found]
    inside = np.array([column for _, column in found], dtype=float)  # (sides, n)
    both = _gain(inside @ inside.T, (inside * failed) @ inside.T, failed)  # on the diagonal, one side alone
    names = np.array([side.name for side in sides])
    alone = int(np.argmax(np.diag(both)))
    pairs = np.where(names[:, None] == names[None, :], -np.inf, both)
    i, j = np.unravel_index(int(np.argmax(pairs)), pairs.shape)
    n_pairs = int(np.isfinite(pairs).sum()) // 2
    if n_pairs and both[i, j] - both[alone, alone] > _by_chance(n_pairs):
        chosen = sorted({int(i), int(j)})
    elif both[alone, alone] > _by_chance(len(sides)):
        chosen = [alone]
    else:
        return None
    settled = _settled([found[k] for k in chosen], space, points, failed)
    within = np.all([column for _, column in settled], axis=0)
    return Region(kind, tuple(side for side, _ in settled), _rate(failed[within]), _rate(failed[~within]))


def _settled(
    chosen: Sequence[Candidate], space: SearchSpace, points: Sequence[Point], failed: Bools
) -> list[Candidate]:
    """Move the thresholds of the sides in turn to the greatest gain of all values, until none moves."""
    every = [[c for c in _sides(space[side.name], points) if c[0].relation == side.relation] for side, _ in chosen]
    settled = list(chosen)
    for _ in range(MAX_MOVES):
        before = [side for side, _ in settled]
        for k, (side, _) in enumerate(chosen):
            if side.relation != "is":
                others = np.all([column for j, (_, column) in enumerate(settled) if j != k], axis=0)
                inside = np.array([column & others for _, column in every[k]])
                gains = _gain(inside.sum(axis=1, dtype=float), (inside & failed).sum(axis=1, dtype=float), failed)
                settled[k] = every[k][int(np.argmax(gains))]
        if [side for side, _ in settled] == before:
            break
    return settled


def _sides(
    parameter: Parameter, points: Sequence[Mapping[str, Value]], *, most: int | None = None
) -> Iterator[Candidate]:
    """Yield the sides of a parameter that hold for some trials, with an array of these: (n,).

    No side holds for a trial without the parameter. The thresholds lie between its values, at `most` of these places.
    """
    name = parameter.name
    if parameter.type == "categorical":
        for choice in parameter.choices:
            column = np.array([name in point and point[name] == choice for point in points])
            if column.any() and not column.all():
                yield Side(name, "is", choice), column
        return
    values = np.array([_number(point.get(name)) for point in points])
    distinct = np.unique(values[~np.isnan(values)])
    between = range(1, len(distinct))
    if most is not None and len(between) > most:
        between = np.unique(np.linspace(1, len(distinct) - 1, most).round().astype(int)).tolist()
    for k in between:
        below, above = float(distinct[k - 1]), float(distinct[k])
        at = _middle(parameter, below, above)
        yield Side(name, "≥", at if parameter.type == "float" else int(above)), values >= above
        yield Side(name, "≤", at if parameter.type == "float" else int(below)), values <= below


def _middle(parameter: Parameter, below: float, above: float) -> float:
    return math.sqrt(below * above) if parameter.log else (below + above) / 2


def _gain(n: Array, k: Array, failed: Bools) -> Array:
    """Return twice the gain in log-likelihood by a rate of its own for a region, against one rate for all.

    Regions have `n` trials with `k` failures. The gain is 0 if the rate within is not the higher one.
    """
    total, failures = len(failed), float(failed.sum())
    split = _loglikelihood(k, n) + _loglikelihood(failures - k, total - n)
    gain = 2 * (split - _loglikelihood(np.array(failures), np.array(float(total))))
    return np.asarray(np.where(k * (total - n) > (failures - k) * n, gain, 0.0))


def _loglikelihood(k: Array, n: Array) -> Array:
    rate = np.divide(k, n, out=np.zeros_like(k), where=n > 0)
    return np.asarray(xlogy(k, rate) + xlogy(n - k, 1 - rate))


def _by_chance(n_regions: int) -> float:
    """Return the gain by chance of the best of so many regions in one case of twenty."""
    return float(chi2.isf(SIGNIFICANCE / n_regions, 1))


def _rate(failed: Bools) -> Rate:
    n, count = len(failed), int(failed.sum())
    if not n:
        return Rate(0, Estimate(math.nan, 0.0, 1.0, 0))
    interval = binomtest(count, n).proportion_ci(method="exact")
    return Rate(count, Estimate(count / n, float(interval.low), float(interval.high), n))


def _number(value: Value) -> float:
    """Return a numeric parameter's value. NaN if it was not active, or if a person told a value of another kind by
    hand."""
    return float(value) if isinstance(value, int | float) else math.nan
