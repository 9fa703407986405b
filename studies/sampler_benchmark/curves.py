"""Best-so-far curves: the regret of a sampler on a problem as its budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.levels import PERCENTILES
from studies.sampler_benchmark.runs import (
    Array,
    BenchmarkRun,
    Measure,
    problems_of,
    resamples,
    runs_on,
    samplers_of,
)

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
    return [
        _curve(runs_on(runs, problem, sampler), measure, seed=seed)
        for problem in problems_of(runs)
        for sampler in samplers_of(runs_on(runs, problem))
    ]


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
