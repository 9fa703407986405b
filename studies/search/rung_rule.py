"""Our own rung rule: pruning by the first of two objectives.

Context: Optuna's `should_prune` refuses several objectives, and its pruners read intermediate values, which such trials
cannot have (optuna#3450). Choice: the rungs lie in each trial's attribute `rungs`, and the rule gives them the answer
that Optuna's pruner of the same name gives to one objective. Everything is read off the stored trials: who passed a
rung of halving is known from the rungs, so workers, resumed studies and retries need no other memory. Cost: one read of
all trials a rung, as with Optuna's own; Hyperband, whose brackets hang on Optuna's internals, is not kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies.records.objectives import rungs_of

Curve = Mapping[int, float]  # rung → value of the first objective


@dataclass(frozen=True, slots=True)
class Field:
    """What a trial is compared with: `complete` are the rungs of the trials that came to their end, `all` those of
    every trial that has any, whatever became of it, without the one that is judged."""

    complete: Sequence[Curve]
    all: Sequence[Curve]
    maximize: bool


class RungRule(BasePruner):
    """Stops a trial by the rule that `stops(own, field)` is: `own` are the trial's rungs, of which it has one at least.

    `last` is the last rung of a trial, at which none is judged.
    """

    def __init__(self, stops: Callable[[Curve, Field], bool], *, last: int) -> None:
        self._stops = stops
        self._last = last

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether `trial` is to stop, by the rungs that it and the other trials of `study` have in the storage."""
        own = rungs_of(trial)
        if not own:
            return False
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        judged = [{i: v for i, v in rungs_of(other).items() if i < self._last} for other in others]
        complete = [curve for other, curve in zip(others, judged, strict=True) if other.state == TrialState.COMPLETE]
        maximize = study.directions[0] == StudyDirection.MAXIMIZE
        return self._stops(own, Field(complete, [curve for curve in judged if curve], maximize))


@dataclass(frozen=True, slots=True)
class Percentile:
    """Stops a trial whose best value so far is worse than the percentile of the complete trials at its rung."""

    percentile: float
    n_startup_trials: int
    n_warmup_steps: int
    interval_steps: int
    n_min_trials: int

    def __call__(self, own: Curve, field: Field) -> bool:
        """Whether the trial is to stop."""
        rung = max(own)
        if not field.complete or len(field.complete) < self.n_startup_trials:
            return False
        if not is_due(own, n_warmup_steps=self.n_warmup_steps, interval_steps=self.interval_steps):
            return False
        there = [curve[rung] for curve in field.complete if rung in curve]
        if len(there) < self.n_min_trials:
            return False
        bound = float(np.percentile(there, 100 - self.percentile if field.maximize else self.percentile))
        return max(own.values()) < bound if field.maximize else min(own.values()) > bound


@dataclass(frozen=True, slots=True)
class Halving:
    """Asynchronous successive halving: of the trials that came to one of its rungs, the best 1/`reduction_factor` go
    on; the first ones do while they are the best so far (as Optuna has it, which cannot pause a trial).

    A trial that skipped from one halving past the next counts with the same value at both, also where it lost the first
    (Optuna leaves it out of the next one then).
    """

    min_resource: int
    reduction_factor: int
    min_early_stopping_rate: int
    bootstrap_count: int

    def __call__(self, own: Curve, field: Field) -> bool:
        """Whether the trial is to stop."""
        rung, before = max(own), max((index for index in own if index != max(own)), default=0)
        k = 0
        while (step := self.min_resource * self.reduction_factor ** (self.min_early_stopping_rate + k)) <= rung:
            if step > before and self._loses(own[rung], [_at(curve, step) for curve in field.all], field.maximize):
                return True
            k += 1
        return False

    def _loses(self, value: float, others: Sequence[float | None], maximize: bool) -> bool:
        competing = sorted([*(other for other in others if other is not None), value], reverse=maximize)
        if len(competing) <= self.bootstrap_count:
            return True
        worst = competing[max(len(competing) // self.reduction_factor, 1) - 1]
        return value < worst if maximize else value > worst


@dataclass(frozen=True, slots=True)
class Patience:
    """Stops a trial whose last `patience` + 1 rungs are all worse, by more than `min_delta`, than its best before."""

    patience: int
    min_delta: float

    def __call__(self, own: Curve, field: Field) -> bool:
        """Whether the trial is to stop."""
        values = [own[index] for index in sorted(own)]
        before, after = values[: -self.patience - 1], values[-self.patience - 1 :]
        if not before:
            return False
        if field.maximize:
            return max(before) - self.min_delta > max(after)
        return min(before) + self.min_delta < min(after)


@dataclass(frozen=True, slots=True)
class Band:
    """Stops a trial whose value leaves the band from `lower` to `upper`."""

    lower: float | None
    upper: float | None
    n_warmup_steps: int
    interval_steps: int

    def __call__(self, own: Curve, field: Field) -> bool:
        """Whether the trial is to stop."""
        if not is_due(own, n_warmup_steps=self.n_warmup_steps, interval_steps=self.interval_steps):
            return False
        value = own[max(own)]
        return (self.lower is not None and value < self.lower) or (self.upper is not None and value > self.upper)


RULES: Mapping[str, tuple[Callable[..., Callable[[Curve, Field], bool]], type[BasePruner]]] = {
    "median": (Percentile, optuna.pruners.MedianPruner),
    "percentile": (Percentile, optuna.pruners.PercentilePruner),
    "asha": (Halving, optuna.pruners.SuccessiveHalvingPruner),
    "patient": (Patience, optuna.pruners.PatientPruner),
    "threshold": (Band, optuna.pruners.ThresholdPruner),
}


def make_rule(name: str, options: Mapping[str, Any], *, last: int) -> RungRule:
    """The rule that gives the answers of Optuna's pruner `name` with these `options`, the others being Optuna's own.

    Raises what that pruner raises for options that it refuses.
    """
    rule, pruner = RULES[name]
    pruner(**options)  # refuses what makes no sense
    bound = inspect.signature(pruner).bind(**options)
    bound.apply_defaults()
    given = {key: value for key, value in bound.arguments.items() if key != "wrapped_pruner"}
    return RungRule(rule(**({"percentile": 50.0} | given if name == "median" else given)), last=last)


def is_due(own: Curve, *, n_warmup_steps: int, interval_steps: int) -> bool:
    """Whether a trial is judged at its last rung: the first that it reports in its interval, after the warm-up."""
    rung = max(own)
    if rung < n_warmup_steps:
        return False
    begins = (rung - n_warmup_steps) // interval_steps * interval_steps + n_warmup_steps
    return max((index for index in own if index != rung), default=-1) < begins


def _at(curve: Curve, step: int) -> float | None:
    """The value with which a trial came to `step`; None where it did not."""
    reached = [index for index in curve if index >= step]
    return curve[min(reached)] if reached else None
