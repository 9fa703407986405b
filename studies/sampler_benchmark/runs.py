"""A run of the benchmark: one sampler searches one problem under one seed. And the runs of several, compared.

Regrets are in units of the regret of the median random point, so that problems can be pooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Measure = Literal["trials", "epochs", "seconds"]

MEASURES: tuple[Measure, ...] = ("trials", "epochs", "seconds")
JOINED = " + "  # between the names of a sampler and its pruner
N_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """What a run came to after each of its trials. All arrays have the shape (n,)."""

    problem: str
    sampler: str  # and its pruner, as in `tpe + median`
    seed: int
    regret: Array  # of the configuration with the best value seen so far
    epochs: Array  # spent so far
    seconds: Array  # spent so far
    near: float  # the regret within 1 % of the best
    sampler_s: float  # the sampler's part of all seconds
    unit: float = 1.0  # a regret of 1 in the problem's own unit

    def spent(self, measure: Measure) -> Array:
        """Return what was spent after each trial."""
        if measure == "trials":
            return np.arange(1.0, len(self.regret) + 1)
        return self.epochs if measure == "epochs" else self.seconds

    def reached(self, measure: Measure) -> float:
        """Return what was spent when the regret first was within 1 % of the best. Infinite if it never was."""
        near = np.flatnonzero(self.regret <= self.near * (1 + 1e-9))
        return float(self.spent(measure)[near[0]]) if len(near) else math.inf


def problems_of(runs: Sequence[BenchmarkRun]) -> list[str]:
    """Return the problems, in order of appearance."""
    return list(dict.fromkeys(run.problem for run in runs))


def samplers_of(runs: Sequence[BenchmarkRun]) -> list[str]:
    """Return the samplers, in order of appearance."""
    return list(dict.fromkeys(run.sampler for run in runs))


def runs_on(runs: Sequence[BenchmarkRun], problem: str, sampler: str | None = None) -> list[BenchmarkRun]:
    """Return the runs on `problem`, of one `sampler` or of all."""
    return [run for run in runs if run.problem == problem and sampler in (None, run.sampler)]


def base(sampler: str) -> str:
    """Return the sampler without its pruner: `tpe` of `tpe + median`."""
    return sampler.partition(JOINED)[0]


def resamples(n: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices (resamples, n) of a bootstrap."""
    return np.random.default_rng([seed, n]).integers(n, size=(N_RESAMPLES, n))
