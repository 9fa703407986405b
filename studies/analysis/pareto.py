"""The Pareto front of two objectives, and how surely each configuration is on it.

A configuration is on the front if none is at least as good in both objectives and better in one. Single runs and times
are noisy, so a nondominated configuration may be lucky. The values are therefore drawn again, `N_DRAWS` times. The
share of draws with a configuration on the front is its probability of being there. Points with replicates are drawn by
bootstrap: training seeds with replacement, the same for all points, for seeds are common to them. Deviations from the
mean are widened by √(n/(n-1)), since seeds are few. Without replicates each value gets the stated noise.

Noise makes the area of a front too large, for the best of noisy values is the luckiest as well. The draws tell by how
much: their mean addition to the measured area is taken off it once. Simulated fronts of single trainings were 3 to 17 %
too large on average, of which 0 to 3 % was left. With replicates both are within 5 % of the truth.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial
from scipy.stats import norm, t

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL
from studies.analysis.paired import mean
from studies.records.eligible import can_be_best

N_DRAWS = 2000
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Goal:
    """One objective. `noise`: standard deviation of a repetition, a share of the value where `is_relative`."""

    name: str
    maximize: bool
    noise: float
    is_relative: bool = False


@dataclass(frozen=True, slots=True)
class FrontCandidate:
    """A configuration with its two means over trainings, with Student's intervals. `trial` is its first training.

    `probability` is that of being on the front. `on_front` tells whether the means are.
    """

    trial: FrozenTrial
    estimates: tuple[Estimate, Estimate]
    on_front: bool
    probability: float

    @property
    def values(self) -> tuple[float, float]:
        """The two means."""
        return self.estimates[0].value, self.estimates[1].value

    @property
    def n(self) -> int:
        """How many trainings they are of."""
        return self.estimates[0].n or 1


@dataclass(frozen=True, slots=True)
class Front:
    """The front of two objectives.

    candidates: all configurations, the best in the second objective first
    area: dominated up to `reference`, corrected for noise. Its interval held in 96 % of simulated studies with
        replicates and in 90 % without.
    measured_area: of the values as they are
    share: the measured area's part of the box between the best and the worst values
    reference: the worst value of each objective
    n_seeds: the fewest and the most trainings of a configuration
    """

    goals: tuple[Goal, Goal]
    candidates: tuple[FrontCandidate, ...]
    area: Estimate
    measured_area: float
    share: float
    reference: tuple[float, float]
    n_seeds: tuple[int, int]

    @property
    def members(self) -> tuple[FrontCandidate, ...]:
        """The configurations on the front, from the best in the second objective to the best in the first."""
        return tuple(candidate for candidate in self.candidates if candidate.on_front)

    @property
    def has_replicates(self) -> bool:
        """Whether the uncertainty comes from replicates, and not from the stated noise."""
        return self.n_seeds[1] > 1


def front_of(
    trials: Sequence[FrozenTrial], goals: tuple[Goal, Goal], *, by_point: bool = False, seed: int = 0
) -> Front | None:
    """Return the front of the feasible complete `trials` with two finite values, or None if there are none.

    With `by_point`, trials at one point are one configuration.
    """
    groups: dict[object, list[FrozenTrial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.number):
        if can_be_best(trial) and len(trial.values) == 2:
            groups[tuple(sorted(trial.params.items())) if by_point else trial.number].append(trial)
    points = list(groups.values())
    if not points:
        return None
    sign = np.array([-1.0 if goal.maximize else 1.0 for goal in goals])
    means = np.array([_values(group).mean(axis=0) for group in points])
    on_front, reference = nondominated(means * sign), (means * sign).max(axis=0)
    draws = list(_draws(points, goals, np.random.default_rng(seed)))
    probabilities = np.mean([nondominated(drawn * sign) for drawn in draws], axis=0)
    measured = hypervolume(means * sign, reference)
    areas = [hypervolume(drawn * sign, reference) for drawn in draws]
    n_seeds = (min(map(len, points)), max(map(len, points)))
    half_width = float(np.std(areas)) * float(
        t.ppf((1 + LEVEL) / 2, n_seeds[1] - 1) if n_seeds[1] > 1 else norm.ppf((1 + LEVEL) / 2)
    )
    area = max(0.0, 2 * measured - float(np.mean(areas)))
    box = float(np.prod(reference - (means * sign).min(axis=0)))
    order = sorted(range(len(points)), key=lambda i: ((means[i] * sign)[::-1].tolist(), points[i][0].number))
    return Front(
        goals=goals,
        candidates=tuple(
            _candidate(points[i], on_front=bool(on_front[i]), probability=float(probabilities[i])) for i in order
        ),
        area=Estimate(area, max(0.0, area - half_width), area + half_width),
        measured_area=measured,
        share=measured / box if box > 0 else math.nan,
        reference=(float(reference[0] * sign[0]), float(reference[1] * sign[1])),
        n_seeds=n_seeds,
    )


def nondominated(losses: Array) -> Mask:
    """Return the mask of points (n, 2), lower is better, that no other one dominates. Equal points do not dominate each
    other."""
    order = np.lexsort((losses[:, 1], losses[:, 0]))
    x, y = losses[order].T
    first = np.searchsorted(x, x, side="left")  # of those with the same x, whose least y it has
    before = np.concatenate([[math.inf], np.minimum.accumulate(y)])[first]  # the least y at a smaller x
    found = np.zeros(len(losses), dtype=bool)
    found[order] = (y == y[first]) & (y < before)
    return found


def hypervolume(losses: Array, reference: Array) -> float:
    """Return the area that the points (n, 2), lower is better, dominate up to `reference` (2,)."""
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    front = np.unique(inside[nondominated(inside)], axis=0)
    widths = np.diff([*front[:, 0], reference[0]])
    return float(widths @ (reference[1] - front[:, 1]))


def _draws(
    points: Sequence[Sequence[FrozenTrial]], goals: tuple[Goal, Goal], rng: np.random.Generator
) -> Iterator[Array]:
    """Yield values (n, 2) of all points as another time might have given them."""
    if max(map(len, points)) > 1:
        yield from _resampled(points, rng)
        return
    values = np.array([_values(group)[0] for group in points])
    for _ in range(N_DRAWS):
        drawn = values.copy()
        for i, goal in enumerate(goals):
            z = goal.noise * rng.standard_normal(len(points))
            drawn[:, i] = drawn[:, i] * np.exp(z) if goal.is_relative else drawn[:, i] + z
        yield drawn


def _resampled(points: Sequence[Sequence[FrozenTrial]], rng: np.random.Generator) -> Iterator[Array]:
    """Yield means over training seeds drawn with replacement. A point with none of the drawn seeds has its own mean."""
    seeds = {replicate: i for i, replicate in enumerate(sorted({_replicate(t) for group in points for t in group}))}
    values = np.full((len(points), len(seeds), 2), np.nan)
    for row, group in zip(values, points, strict=True):
        for trial, pair in zip(group, _values(group), strict=True):
            row[seeds[_replicate(trial)]] = pair
    present = ~np.isnan(values[:, :, 0])
    n = present.sum(axis=1)
    means = np.nansum(values, axis=1) / n[:, None]
    deviations = np.where(present[:, :, None], values - means[:, None], 0.0)
    widened = deviations * np.sqrt(n / np.maximum(n - 1, 1))[:, None, None]
    pooled = np.sqrt((deviations**2).sum(axis=(0, 1)) / max(1, int((n - 1).sum())))
    alone = (n == 1)[:, None]  # a point that lost its other seeds has the spread of the others
    for _ in range(N_DRAWS):
        counts = np.bincount(rng.integers(len(seeds), size=len(seeds)), minlength=len(seeds))
        drawn = np.maximum(present @ counts, 1)
        moved = np.einsum("psg,s->pg", widened, counts) / drawn[:, None]
        yield means + np.where(alone, pooled * rng.standard_normal(means.shape), moved)


def _candidate(group: Sequence[FrozenTrial], *, on_front: bool, probability: float) -> FrontCandidate:
    first, second = map(mean, _values(group).T)
    return FrontCandidate(group[0], (first, second), on_front, probability)


def _values(group: Sequence[FrozenTrial]) -> Array:
    return np.array([trial.values for trial in group], dtype=float)


def _replicate(trial: FrozenTrial) -> int:
    """Return the training seed's number. A trial of another tool has its own number."""
    return int(trial.user_attrs.get(schema.REPLICATE, trial.number))
