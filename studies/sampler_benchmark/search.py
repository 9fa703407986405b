"""A whole search as one trial: this framework's own sampler and pruner, on a problem with a known best point.

The trial's value is the regret of the configuration with the best value seen, by its true value. The unit is the
regret of the median random point, so 0 is the best point and 1 an average draw. Under noise the regret can grow when a
lucky value takes the lead. `best_tried` cannot grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.sampler_benchmark.problem import BenchmarkProblem, Observation
from studies.sampler_benchmark.search_settings import search_settings
from studies.schema import Failure
from studies.search.pruners import make_pruner
from studies.search.samplers import StudySampler
from studies.search.seeds import replicate_of
from studies.trial.procedures.procedure import Report

IGNORANT = 1.0  # the regret of a search without a value yet


class Search:
    """A procedure. `sampler` and `pruner` have a `name` and options, as in a study's config.

    The sampler may have an `n_trials` of its own. A grid smaller than the budget ends early. Raises `BadInput` for
    options of no search.
    """

    def __init__(
        self, *, problem: BenchmarkProblem, sampler: Mapping[str, Any], pruner: Mapping[str, Any], n_trials: int
    ) -> None:
        options = dict(sampler)
        self._problem = problem
        self._n_trials = int(options.pop("n_trials", n_trials))
        self._settings = search_settings(problem, sampler=options, pruner=pruner, n_trials=self._n_trials)

    def run(self, *, seed: int, n_rungs: int, report: Report, interrupted: Callable[[], str | None]) -> dict[str, Any]:
        """Run the search, and report the regret at equal fractions of its budget. Return the track as plain values."""
        run = _Run(self._problem, replace(self._settings, seed=seed))
        n_told = 0
        for n in range(1, self._n_trials + 1):
            if interrupted() is not None:
                return {}
            run.next()
            while n_told < n * n_rungs // self._n_trials:
                n_told += 1
                if report(n_told, run.track.regret[-1]):
                    return run.result()
        return run.result()


@dataclass(slots=True)
class Track:
    """The state of a search after each trial. All lists have the shape (n_trials,)."""

    regret: list[float] = field(default_factory=list)  # of the point with the best value seen
    best_tried: list[float] = field(default_factory=list)  # the least regret of any tried point
    sampler_seconds: list[float] = field(default_factory=list)  # CPU seconds of sampler and pruner, summed
    training_seconds: list[float] = field(default_factory=list)  # as recorded, summed
    epochs: list[int] = field(default_factory=list)  # summed

    def add(self, *, regret: float, tried: float, sampler_s: float, training_s: float, epochs: int) -> None:
        """Add a trial: the regrets by now, and its own cost."""
        self.regret.append(regret)
        self.best_tried.append(min([tried, *self.best_tried[-1:]]))
        self.sampler_seconds.append(sum(self.sampler_seconds[-1:]) + sampler_s)
        self.training_seconds.append(sum(self.training_seconds[-1:]) + training_s)
        self.epochs.append(sum(self.epochs[-1:]) + epochs)


class _Run:
    """One search under way."""

    def __init__(self, problem: BenchmarkProblem, settings: StudySettings) -> None:
        self.track = Track()
        self._problem = problem
        self._settings = settings
        self._marks = problem.marks
        self._sign = 1.0 if problem.direction == "maximize" else -1.0
        self._best_seen = -np.inf
        self._regret = IGNORANT
        self._n_pruned = 0
        self._study = optuna.create_study(
            storage=InMemoryStorage(),
            sampler=StudySampler(settings),
            pruner=make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs),
            direction=problem.direction,
        )

    def next(self) -> None:
        """Run one more trial. A grid without untried cells does nothing more."""
        number = len(self.track.regret)
        if number >= self._settings.n_trials:
            self.track.add(regret=self._regret, tried=np.inf, sampler_s=0.0, training_s=0.0, epochs=0)
            return
        begun = time.process_time()
        trial = self._study.ask()
        point = self._settings.space.suggest(trial)
        spent = time.process_time() - begun
        random = np.random.default_rng([self._settings.seed, number])
        seen = self._problem.observe(point, replicate=replicate_of(self._settings, number), random=random)
        begun = time.process_time()
        epochs, is_whole = self._train(trial, seen)
        spent += time.process_time() - begun
        tried = self._regret_of(self._problem.truth(point)) if is_whole else np.inf
        if is_whole and self._sign * seen.values[-1] > self._best_seen:
            self._best_seen, self._regret = self._sign * seen.values[-1], tried
        share = epochs / self._problem.n_rungs
        self.track.add(
            regret=self._regret, tried=tried, sampler_s=spent, training_s=share * seen.seconds, epochs=epochs
        )

    def result(self) -> dict[str, Any]:
        """Return the track so far with its scale.

        `near` is the regret within 1 % of the best, `unit` a regret of 1 in the problem's own unit.
        """
        track = self.track
        return {
            "regret": _rounded(track.regret),
            "best_tried": _rounded([min(value, IGNORANT) if np.isinf(value) else value for value in track.best_tried]),
            "sampler_seconds": _rounded(track.sampler_seconds),
            "training_seconds": _rounded(track.training_seconds),
            "epochs": track.epochs,
            "n_pruned": self._n_pruned,
            "near": self._marks.near / self._marks.unit,
            "unit": self._marks.unit,
            "best": self._marks.best,
            "maximize": self._sign > 0,
        }

    def _train(self, trial: optuna.Trial, seen: Observation) -> tuple[int, bool]:
        """Tell the study the values of a trial, rung by rung. Return the spent rungs, and whether these were all."""
        last = self._problem.n_rungs
        for rung, value in enumerate(seen.values, start=1):
            if last > 1:
                trial.report(value, rung)
            if rung < last and trial.should_prune():
                self._n_pruned += 1
                self._study.tell(trial, state=TrialState.PRUNED)
                return rung, False
        if len(seen.values) < last:
            trial.set_user_attr(schema.FAILURE, Failure.DIVERGED)
            self._study.tell(trial, state=TrialState.PRUNED)
            return len(seen.values) + 1, False
        self._study.tell(trial, seen.values[-1])
        return last, True

    def _regret_of(self, truth: float) -> float:
        return max(0.0, self._sign * (self._marks.best - truth)) / self._marks.unit


def _rounded(values: list[float]) -> list[float]:
    """Return the values with six significant digits."""
    return [float(f"{value:.6g}") for value in values]
