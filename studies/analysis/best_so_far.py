"""Searches compared: best-so-far curves, which one beats which, and what it takes to come within 1 % of the best.

A search is one run of one entrant on one problem under one seed. Regrets are in units of the median random point's, so
that problems can be pooled. Bands and intervals are over seeds; nothing that a search did not reach is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest, norm

from studies.analysis.levels import LEVEL
from studies.analysis.paired import holm

Array = npt.NDArray[np.float64]
Measure = Literal["trials", "epochs", "seconds"]

MEASURES: tuple[Measure, ...] = ("trials", "epochs", "seconds")
JOINED = " + "  # between a sampler and its pruner, in an entrant's name
N_RESAMPLES = 1000
N_PLACES = 60  # at most, of a curve
ENDS = (50 * (1 - LEVEL), 50 * (1 + LEVEL))  # percentiles


@dataclass(frozen=True, slots=True)
class Played:
    """One search: after each of its trials (n,), the `regret` of what it would hand over, and the `epochs` and
    `seconds` spent so far; `near` is the regret within 1 % of the best, `sampler_s` the sampler's part of all seconds,
    `unit` what a regret of 1 is in the problem's own unit."""

    problem: str
    entrant: str
    seed: int
    regret: Array
    epochs: Array
    seconds: Array
    near: float
    sampler_s: float
    unit: float = 1.0

    def spent(self, measure: Measure) -> Array:
        """What was spent after each trial."""
        if measure == "trials":
            return np.arange(1.0, len(self.regret) + 1)
        return self.epochs if measure == "epochs" else self.seconds

    def reached(self, measure: Measure) -> float:
        """What was spent when the regret first was within 1 % of the best; infinite where it never was."""
        near = np.flatnonzero(self.regret <= self.near * (1 + 1e-9))
        return float(self.spent(measure)[near[0]]) if len(near) else math.inf


@dataclass(frozen=True, slots=True)
class Curve:
    """Median and mean regret of one entrant on one problem at each place of `spent`, with bootstrap 95 % bands over
    `n` seeds; all arrays (places,)."""

    problem: str
    entrant: str
    measure: Measure
    n: int
    spent: Array
    median: Array
    median_lo: Array
    median_hi: Array
    mean: Array
    mean_lo: Array
    mean_hi: Array


@dataclass(frozen=True, slots=True)
class Duel:
    """How `a` fares against `b` after `at` trials, the same seeds and problems side by side: the chance that its regret
    is the smaller one (a tie counts half), with its Wilson 95 % interval over `n` pairs, and the median of how much
    smaller it is. `p` is that of the sign test, after Holm's correction over all duels of the same problem, and the
    gain's interval the one that holds 0 where p is above 5 %: the sign test turned round, infinite where the pairs are
    too few. `problem` is None for all problems together; their regrets differ in scale, and the gain is NaN."""

    problem: str | None
    a: str
    b: str
    at: int
    n: int
    chance: float
    chance_lo: float
    chance_hi: float
    gain: float
    gain_lo: float
    gain_hi: float
    p: float


@dataclass(frozen=True, slots=True)
class Reach:
    """What it takes one entrant to come within 1 % of the best. `reached` of `n` searches did; the median counts the
    others as longer than all: it is infinite where less than half did. `restricted` is the mean of the smaller of what
    it took and what there was, None but for trials."""

    problem: str
    entrant: str
    measure: Measure
    n: int
    reached: int
    median: float
    median_lo: float
    median_hi: float
    restricted: float | None
    budget: float


def curves(searches: Sequence[Played], measure: Measure = "trials", *, seed: int) -> list[Curve]:
    """One curve for each problem and entrant, in order of appearance. A search that has ended keeps its regret."""
    return [
        _curve(problem, entrant, _of(searches, problem, entrant), measure, seed=seed)
        for problem in problems_of(searches)
        for entrant in entrants_of(_of(searches, problem))
    ]


def duels(searches: Sequence[Played]) -> list[Duel]:
    """Each pair of entrants, on each problem and, where there are several, on all together; there only those that met
    all problems. Where one had fewer trials, both are compared after so many.
    """
    names = problems_of(searches)
    found: list[Duel] = []
    for problem in [*names, *([None] if len(names) > 1 else [])]:
        here = list(searches) if problem is None else _of(searches, problem)
        met_all = [e for e in entrants_of(here) if {s.problem for s in here if s.entrant == e} == {*problems_of(here)}]
        pairs = [_duel(problem, a, b, here) for a, b in combinations(met_all, 2)]
        met = [pair for pair in pairs if pair is not None]
        adjusted = holm([duel.p for duel, _ in met])
        found += [_adjusted(*pair, p=p, n_duels=len(met)) for pair, p in zip(met, adjusted, strict=True)]
    return found


def reaches(searches: Sequence[Played], *, seed: int) -> list[Reach]:
    """For each problem, entrant and measure."""
    return [
        _reach(problem, entrant, _of(searches, problem, entrant), measure, seed=seed)
        for problem in problems_of(searches)
        for entrant in entrants_of(_of(searches, problem))
        for measure in MEASURES
    ]


def problems_of(searches: Sequence[Played]) -> list[str]:
    """The problems, in order of appearance."""
    return list(dict.fromkeys(search.problem for search in searches))


def entrants_of(searches: Sequence[Played]) -> list[str]:
    """The entrants, in order of appearance."""
    return list(dict.fromkeys(search.entrant for search in searches))


def base(entrant: str) -> str:
    """The entrant without what it was joined with: `tpe` of `tpe + median`."""
    return entrant.partition(JOINED)[0]


def _of(searches: Sequence[Played], problem: str, entrant: str | None = None) -> list[Played]:
    return [s for s in searches if s.problem == problem and entrant in (None, s.entrant)]


def _curve(problem: str, entrant: str, own: Sequence[Played], measure: Measure, *, seed: int) -> Curve:
    spent = _places(own, measure)
    regrets = np.array([_regret_at(search, spent, measure) for search in own])
    drawn = regrets[_resamples(len(own), seed=seed)]  # (resamples, seeds, places)
    median_lo, median_hi = np.percentile(np.median(drawn, axis=1), ENDS, axis=0)
    mean_lo, mean_hi = np.percentile(drawn.mean(axis=1), ENDS, axis=0)
    return Curve(
        problem=problem,
        entrant=entrant,
        measure=measure,
        n=len(own),
        spent=spent,
        median=np.median(regrets, axis=0),
        median_lo=median_lo,
        median_hi=median_hi,
        mean=regrets.mean(axis=0),
        mean_lo=mean_lo,
        mean_hi=mean_hi,
    )


def _places(own: Sequence[Played], measure: Measure) -> Array:
    """Where a curve is drawn: evenly on a log scale from what the first trial took to the end of the longest search."""
    spent = [search.spent(measure) for search in own]
    first, last = max(float(each[0]) for each in spent), max(float(each[-1]) for each in spent)
    if measure == "seconds":
        return np.geomspace(max(first, 1e-6), max(last, 1e-6), N_PLACES)
    return np.unique(np.round(np.geomspace(max(first, 1.0), max(last, 1.0), N_PLACES)))


def _regret_at(search: Played, places: Array, measure: Measure) -> Array:
    index = np.searchsorted(search.spent(measure), places * (1 + 1e-12), side="right") - 1
    found: Array = search.regret[np.clip(index, 0, None)]
    return found


def _duel(problem: str | None, a: str, b: str, here: Sequence[Played]) -> tuple[Duel, Array] | None:
    """The duel before any correction, with the gain of each pair (n,), sorted."""
    of_a = {(s.problem, s.seed): s for s in here if s.entrant == a}
    of_b = {(s.problem, s.seed): s for s in here if s.entrant == b}
    common = [key for key in of_a if key in of_b]
    if not common:
        return None
    at = min(len(s.regret) for key in common for s in (of_a[key], of_b[key]))
    gains = np.sort([of_b[key].regret[at - 1] - of_a[key].regret[at - 1] for key in common])
    wins, losses, n = int((gains > 0).sum()), int((gains < 0).sum()), len(gains)
    chance = (wins + (n - wins - losses) / 2) / n
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return Duel(problem, a, b, at, n, chance, *wilson(chance, n), math.nan, math.nan, math.nan, p), gains


def _adjusted(duel: Duel, gains: Array, *, p: float, n_duels: int) -> Duel:
    """The duel with the `p` that Holm's correction gives, and with its gain on a problem of its own."""
    if duel.problem is None:
        return replace(duel, p=p)
    alpha = (1 - LEVEL) * (duel.p / p if p < 1 else 1 / n_duels)
    lo, hi = median_interval(gains, alpha=alpha)
    return replace(duel, p=p, gain=float(np.median(gains)), gain_lo=lo, gain_hi=hi)


def median_interval(ordered: Array, *, alpha: float) -> tuple[float, float]:
    """The interval of a median at the level 1 - `alpha`, the sign test turned round: from one of the `ordered` values
    (n,) to another. Infinite where they are too few for the level."""
    n = len(ordered)
    n_out = int(np.sum(2 * binom.cdf(np.arange(n // 2), n, 0.5) <= alpha))  # values left out at each end
    return (float(ordered[n_out - 1]), float(ordered[n - n_out])) if n_out else (-math.inf, math.inf)


def wilson(share: float, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share of `n` (Wilson 1927); `share` · `n` need not be whole, for a tie is half."""
    z = float(norm.ppf((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _reach(problem: str, entrant: str, own: Sequence[Played], measure: Measure, *, seed: int) -> Reach:
    took = np.array([search.reached(measure) for search in own])
    drawn = _median(took[_resamples(len(own), seed=seed)])
    lo, hi = np.percentile(drawn, ENDS, method="nearest")
    ends = np.array([search.spent(measure)[-1] for search in own])
    restricted = float(np.minimum(took, ends).mean()) if measure == "trials" else None
    budget = float(np.median(ends))
    reached = int(np.isfinite(took).sum())
    return Reach(
        problem, entrant, measure, len(own), reached, float(_median(took)), float(lo), float(hi), restricted, budget
    )


def _median(took: Array) -> Array:
    """The median along the last axis; the greater of the two in the middle, for half of the sum may be infinite."""
    middle: Array = np.sort(took, axis=-1)[..., took.shape[-1] // 2]
    return middle


def _resamples(n: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Indices (resamples, n) of a bootstrap."""
    return np.random.default_rng([seed, n]).integers(n, size=(N_RESAMPLES, n))
