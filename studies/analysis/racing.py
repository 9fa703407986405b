"""A race: candidates train on common fresh seeds and leave once they are surely worse. The winner gets an estimate.

The best single value of a search is the luckiest of good ones. With 60 candidates with a true spread equal to the noise
of the seeds it is 1.6 standard deviations too good. So the best few are trained again on fresh seeds, the same for all,
and compared in pairs over these seeds.

The rule: after each interim analysis at n seeds, a candidate leaves if a one-sided paired t test says that the leader
is better at p · (k − 1) · analyses ≤ risk. The truly best candidate can be lost only to one of k − 1 others at one of
the analyses. By Bonferroni's inequality it is lost with a chance of `risk` at most, whoever leads. The candidates left
at the end are a confidence set for the best (in the manner of Maron & Moore 1997, and of Gupta's subset selection
1965). The tests take differences between seeds for about normal.

A candidate that fails on some seed is no winner, so it may not send others home either. Whoever left because of it
comes back, and makes up for the missed seeds.

Accuracies on few samples are coarse: the differences of a pair over three seeds can be alike by chance, and its own t
endless. So the typical spread of all pairs has to say the same. p is the larger of the two, so a candidate is only ever
kept longer. Cost: at a first analysis of few seeds only the hopeless leave.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtr
from scipy.stats import t

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL, SIGNIFICANCE

Left = Literal["worse", "failed"]
LEAST = 3  # seeds before anyone leaves
SAME = 1e-12  # a relative spread below it is rounding


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate at its last interim analysis.

    mean, sd: over its `n` seeds
    gap: by how much the leader was better in the mean
    p_value: of the gap, adjusted
    left: why it left, None if it did not
    """

    n: int
    mean: float
    sd: float
    gap: float
    p_value: float
    left: Left | None


@dataclass(frozen=True, slots=True)
class Elimination:
    """How a race stands."""

    standings: tuple[Standing, ...]
    leader: int | None  # has the best mean of the survivors; None if all have failed
    risk: float

    @property
    def survivors(self) -> tuple[int, ...]:
        """The candidates that have not left, best first, with the leader: no test tells them apart."""
        survivors = [i for i, standing in enumerate(self.standings) if standing.left is None]
        return tuple(sorted(survivors, key=lambda i: self.standings[i].gap))


def interim_analyses(seeds: int) -> tuple[int, ...]:
    """Return after how many of `seeds` (3 or more) the candidates are compared: half, three quarters, all of them.

    It is at least 3, since two differences say next to nothing about their spread.
    """
    return tuple(sorted({max(LEAST, math.ceil(seeds * share)) for share in (0.5, 0.75, 1.0)}))


def run_race(
    values: Array,
    *,
    analyses: Sequence[int],
    n_analyses: int,
    maximize: bool,
    failed: Collection[int] = (),
    seedless: Collection[int] = (),
    risk: float = SIGNIFICANCE,
) -> Elimination:
    """Return the race over `values` (k, seeds), at the `analyses` so far of `n_analyses` in all.

    Candidates that have `failed` are out. A value is NaN if a candidate was not trained, or failed. The race stands at
    the last analysis before a survivor lacks a seed: it has come back, or was not trained yet. The values of `seedless`
    candidates are one observation under every seed. With them there is no test, so nobody leaves and p is NaN.
    """
    n_tests = max(1, (len(values) - 1) * n_analyses)
    scores = values if maximize else -values
    standings = [_without_test(own, "failed" if i in failed else None) for i, own in enumerate(values)]
    leader: int | None = None
    for n in analyses:
        survivors = [i for i, standing in enumerate(standings) if standing.left is None]
        if not survivors or np.isnan(scores[survivors, :n]).any():
            break
        leader = max(survivors, key=lambda i: (scores[i, :n].mean(), -i))
        differences = {i: scores[leader, :n] - scores[i, :n] for i in survivors}
        spreads = [_sd(differences[i]) for i in survivors if i != leader]
        for i, gaps in differences.items():
            p_value = 1.0 if i == leader else min(1.0, n_tests * surely_positive(gaps, spreads))
            p_value = math.nan if seedless else p_value
            left: Left | None = "worse" if p_value <= risk and i != leader else None
            own = values[i, : 1 if i in seedless else n]
            standings[i] = Standing(len(own), float(own.mean()), _sd(own), float(gaps.mean()), p_value, left)
    return Elimination(tuple(standings), leader, risk)


def surely_positive(differences: Array, spreads: Sequence[float]) -> float:
    """Return the one-sided p-value of a mean of paired `differences` (n,) above 0.

    Both the pair's own spread and the median of all pairs' `spreads` support it. Differences that are all the same have
    no spread of their own, so they are judged by the sign test.
    """
    n, mean = len(differences), float(differences.mean())
    if n < 2 or mean <= 0:
        return 1.0
    own, common = _sd(differences), float(np.median(spreads))
    by_own = 0.5**n if own <= SAME * abs(mean) else _chance(mean, own, n, n - 1)
    if common <= SAME * abs(mean):
        return by_own
    return max(by_own, _chance(mean, common, n, (n - 1) * len(spreads)))


def cheapest_of_the_best(elimination: Elimination, costs: Sequence[float], *, maximize: bool) -> int | None:
    """Return the cheapest of the ties within one standard error of the leader's mean, of equally cheap ones the better.

    This is the one-standard-error rule (Breiman, Friedman, Olshen & Stone 1984). Costs are positive, NaN if unknown.
    """
    if elimination.leader is None:
        return None
    best = elimination.standings[elimination.leader]
    error, sign = best.sd / math.sqrt(best.n), 1.0 if maximize else -1.0
    near = [i for i in elimination.survivors if sign * (best.mean - elimination.standings[i].mean) <= error]
    return min(near, key=lambda i: (math.inf if math.isnan(costs[i]) else costs[i], elimination.standings[i].gap))


def estimate_of(values: Array, *, n_samples: int | None = None) -> Estimate:
    """Return the mean of `values`, one a seed (m,), with its interval. One seed has none.

    Without `n_samples` it is Student's t over the seeds. With it, `values` are shares of the same n samples, and the
    interval covers new samples too. By the law of total variance the mean's variance is s²/m of the seeds on these
    samples, plus that of the samples' chances of being answered rightly, /n. The latter is at most p(1 − p)/n. The t
    quantile has Welch and Satterthwaite's degrees of freedom. p has two successes and two failures added (Agresti &
    Coull 1998), so that a perfect score has an interval, too. That both sources count: Dietterich 1998, Bouthillier et
    al. 2021.
    """
    m, mean = len(values), float(values.mean())
    if m < 2:
        return Estimate(mean, n=m)
    of_seeds, of_samples = _sd(values) ** 2 / m, 0.0
    if n_samples is not None:
        share = (mean * n_samples + 2) / (n_samples + 4)
        of_samples = share * (1 - share) / n_samples
    variance = of_seeds + of_samples
    freedom = (m - 1) * (variance / of_seeds) ** 2 if of_seeds > 0 else math.inf
    half_width = float(t.ppf((1 + LEVEL) / 2, min(freedom, 1e9))) * math.sqrt(variance)
    found = Estimate(mean, mean - half_width, mean + half_width, m)
    return found if n_samples is None else found.within(0.0, 1.0)


def _chance(mean: float, sd: float, n: int, freedom: int) -> float:
    """Return the chance of a mean over `n` this far above 0 or further, by Student's t."""
    return float(stdtr(freedom, -mean * math.sqrt(n) / sd))


def _without_test(values: Array, left: Left | None) -> Standing:
    """Return the standing of a candidate before it is compared."""
    own = values[~np.isnan(values)]
    return Standing(len(own), float(own.mean()) if len(own) else math.nan, _sd(own), math.nan, math.nan, left)


def _sd(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan
