"""Times to target: trials, epochs or seconds until a sampler is within 1 % of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.estimate import Estimate
from studies.analysis.levels import PERCENTILES
from studies.sampler_benchmark.runs import (
    MEASURES,
    Array,
    BenchmarkRun,
    Measure,
    problems_of,
    resamples,
    runs_on,
    samplers_of,
)


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
    return [
        _time_to_target(runs_on(runs, problem, sampler), measure, seed=seed)
        for problem in problems_of(runs)
        for sampler in samplers_of(runs_on(runs, problem))
        for measure in MEASURES
    ]


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
