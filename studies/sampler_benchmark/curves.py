"""Best-so-far curves: the regret of a sampler on a problem as its budget is spent, and the time to a target.

The target is a regret within 1 % of the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import PERCENTILES
from studies.sampler_benchmark.runs import MEASURES, BenchmarkRun, Measure, by_entrant, resamples

N_PLACES = 60  # at most, of a curve


@dataclass(frozen=True, slots=True)
class Curve:
    """Median and mean regret over `n` seeds at each place of `spent`, with bootstrap 95 % bands.

    All arrays have the shape (places,).
    """

    problem: str
    sampler: str
    measure: Measure
    n: int
    spent: Array
    median: Array
    median_lo: Array
    median_hi: Array
    mean: Array
    mean_lo: Array
    mean_hi: Array


def curves(runs: Sequence[BenchmarkRun], measure: Measure = "trials", *, seed: int) -> list[Curve]:
    """Return one curve for each problem and sampler, in order of appearance. A run that has ended keeps its regret."""
    return [_curve(own, measure, seed=seed) for own in by_entrant(runs)]


def _curve(own: Sequence[BenchmarkRun], measure: Measure, *, seed: int) -> Curve:
    spent = _places(own, measure)
    regrets = np.array([_regret_at(run, spent, measure) for run in own])
    drawn = regrets[resamples(len(own), seed=seed)]  # (resamples, seeds, places)
    median_lo, median_hi = np.percentile(np.median(drawn, axis=1), PERCENTILES, axis=0)
    mean_lo, mean_hi = np.percentile(drawn.mean(axis=1), PERCENTILES, axis=0)
    return Curve(
        problem=own[0].problem,
        sampler=own[0].sampler,
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


def _places(own: Sequence[BenchmarkRun], measure: Measure) -> Array:
    """Return where to draw: evenly on a log scale, from the cost of the first trial to the end of the longest run."""
    spent = [run.spent(measure) for run in own]
    first, last = max(float(each[0]) for each in spent), max(float(each[-1]) for each in spent)
    if measure == "seconds":
        return np.geomspace(max(first, 1e-6), max(last, 1e-6), N_PLACES)
    return np.unique(np.round(np.geomspace(max(first, 1.0), max(last, 1.0), N_PLACES)))


def _regret_at(run: BenchmarkRun, places: Array, measure: Measure) -> Array:
    index = np.searchsorted(run.spent(measure), places * (1 + 1e-12), side="right") - 1
    found: Array = run.regret[np.clip(index, 0, None)]
    return found


@dataclass(frozen=True, slots=True)
class TimeToTarget:
    """The time to target of one sampler on one problem. A run that missed the target counts as longer than all."""

    problem: str
    sampler: str
    measure: Measure
    reached: int  # of `n` runs
    median: Estimate  # infinite if fewer than half of the runs reached the target
    restricted: float | None  # the mean of the time to target or the budget, the smaller one; of trials only
    budget: float

    @property
    def n(self) -> int:
        """The number of runs."""
        return self.median.n or 0


def times_to_target(runs: Sequence[BenchmarkRun], *, seed: int) -> list[TimeToTarget]:
    """Return the time to target for each problem, sampler and measure."""
    return [_time_to_target(own, measure, seed=seed) for own in by_entrant(runs) for measure in MEASURES]


def _time_to_target(own: Sequence[BenchmarkRun], measure: Measure, *, seed: int) -> TimeToTarget:
    took = np.array([run.reached(measure) for run in own])
    drawn = _median(took[resamples(len(own), seed=seed)])
    lo, hi = np.percentile(drawn, PERCENTILES, method="nearest")
    ends = np.array([run.spent(measure)[-1] for run in own])
    return TimeToTarget(
        problem=own[0].problem,
        sampler=own[0].sampler,
        measure=measure,
        reached=int(np.isfinite(took).sum()),
        median=Estimate(float(_median(took)), float(lo), float(hi), len(own)),
        restricted=float(np.minimum(took, ends).mean()) if measure == "trials" else None,
        budget=float(np.median(ends)),
    )


def _median(took: Array) -> Array:
    """Return the median along the last axis: the greater one of two, because half of their sum may be infinite."""
    middle: Array = np.sort(took, axis=-1)[..., took.shape[-1] // 2]
    return middle
