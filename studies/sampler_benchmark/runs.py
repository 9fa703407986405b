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
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from studies import sampler_benchmark, schema
from studies.analysis.axis import Array
from studies.config.space import SearchSpace
from studies.sampler_benchmark import Search

Measure = Literal["trials", "epochs", "seconds"]

MEASURES: tuple[Measure, ...] = ("trials", "epochs", "seconds")
JOINED = " + "  # between the names of a sampler and its pruner
N_RESAMPLES = 1000
PROBLEM = "model.problem"  # what is searched below this key makes up the problem, all else the sampler
NO_PRUNER = "none"
NAMES_OF_SEARCH = {f"{module}.{Search.__name__}" for module in (sampler_benchmark.__name__, Search.__module__)}


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """The state of a run after each of its trials. All arrays have the shape (n,)."""

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


def by_entrant(runs: Sequence[BenchmarkRun]) -> list[list[BenchmarkRun]]:
    """Return the runs of each sampler on each problem, in order of appearance."""
    return [
        runs_on(runs, problem, sampler)
        for problem in problems_of(runs)
        for sampler in samplers_of(runs_on(runs, problem))
    ]


def base(sampler: str) -> str:
    """Return the sampler without its pruner: `tpe` of `tpe + median`."""
    return sampler.partition(JOINED)[0]


def resamples(n: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices (resamples, n) of a bootstrap."""
    return np.random.default_rng([seed, n]).integers(n, size=(N_RESAMPLES, n))


def is_benchmark(template: DictConfig) -> bool:
    """Return whether the trials of a study with this `template` are searches. Imports nothing to tell."""
    return OmegaConf.select(template, "model._target_") in NAMES_OF_SEARCH


def runs_of(trials: Sequence[FrozenTrial], space: SearchSpace, template: DictConfig) -> list[BenchmarkRun]:
    """Return the finished searches, by problem and sampler in the order of the search space."""
    whole = [t for t in trials if t.state == TrialState.COMPLETE and "regret" in t.user_attrs.get(schema.RESULT, {})]
    runs = [_run(trial, space, template) for trial in whole]
    labels = dict.fromkeys(str(choice) for p in space for choice in p.choices)
    order = {name: i for i, name in enumerate(labels)}
    return sorted(runs, key=lambda run: (_place(run.problem, order), _place(run.sampler, order), run.seed))


def _run(trial: FrozenTrial, space: SearchSpace, template: DictConfig) -> BenchmarkRun:
    result, fixed = trial.user_attrs[schema.RESULT], str(OmegaConf.select(template, f"{PROBLEM}._target_"))
    training, sampler = np.array(result["training_seconds"]), np.array(result["sampler_seconds"])
    return BenchmarkRun(
        problem=_label(trial, space, of_problem=True) or fixed.rpartition(".")[2],
        sampler=_label(trial, space, of_problem=False) or str(OmegaConf.select(template, "model.sampler.name")),
        seed=int(trial.user_attrs[schema.REPLICATE]),
        regret=np.array(result["regret"]),
        epochs=np.array(result["epochs"], dtype=float),
        seconds=training + sampler,
        near=float(result["near"]),
        sampler_s=float(sampler[-1]),
        unit=float(result["unit"]),
    )


def _label(trial: FrozenTrial, space: SearchSpace, *, of_problem: bool) -> str:
    """Return what a trial varied of its problem, or else of its sampler. Empty if the benchmark has only one."""
    own = [p.name for p in space if p.name in trial.params and p.paths[0].startswith(PROBLEM) == of_problem]
    words = [str(trial.params[name]) for name in own]
    return JOINED.join(word for word in words if of_problem or word != NO_PRUNER)


def _place(label: str, order: dict[str, int]) -> tuple[int, ...]:
    return tuple(order.get(word, len(order)) for word in label.split(JOINED))
