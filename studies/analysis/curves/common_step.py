"""The step at which trials are compared if many of them were pruned.

Trials with common steps are compared at the last one that nine in ten of them reached. Other tools' trials may report
at steps of their own, such as optimizer steps under different batch sizes. Each trial then counts with its last report
up to a common step: the latest one at which nine in ten have reported and are not pruned yet. There may be no such
step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

MISSING = 0.10  # the greatest share of trials that may lack a value at the step


@dataclass(frozen=True, slots=True)
class CommonStep:
    """The step of comparison. `is_shared`: trials report at this very step. Else each counts with its last report
    before."""

    step: int
    is_shared: bool = True

    @property
    def policy(self) -> str:
        """The step in words."""
        return f"rung {self.step}" if self.is_shared else f"step {self.step}"

    def value_of(self, trial: FrozenTrial) -> float | None:
        """Return the report of `trial` at the step, or None if it made none there or was pruned before."""
        reported = trial.intermediate_values
        if self.is_shared or not _is_there(trial, self.step):
            return reported.get(self.step)
        return reported[max(step for step in reported if step <= self.step)]


def common_step(trials: Sequence[FrozenTrial]) -> CommonStep | None:
    """Return the step at which nine in ten of `trials` can be compared, or None if there is none."""
    last = sorted(max(trial.intermediate_values, default=-math.inf) for trial in trials)
    step = last[math.floor(MISSING * len(last))] if last else -math.inf
    if step == -math.inf:
        return None
    reached = [trial for trial in trials if max(trial.intermediate_values, default=-math.inf) >= step]
    n_exact = sum(step in trial.intermediate_values for trial in reached)
    if n_exact >= (1 - MISSING) * len(reached):
        return CommonStep(int(step))
    return _last_before(trials)


def _last_before(trials: Sequence[FrozenTrial]) -> CommonStep | None:
    """Find the latest of the last steps at which nine in ten of the trials have reported and are not pruned yet."""
    reporting = [trial for trial in trials if trial.intermediate_values]
    first = np.sort([min(trial.intermediate_values) for trial in reporting])
    last = np.array([max(trial.intermediate_values) for trial in reporting])
    ends = np.sort([_end(trial) for trial in reporting])
    n_there = np.searchsorted(first, last, side="right") - np.searchsorted(ends, last, side="left")
    candidates = last[n_there >= (1 - MISSING) * len(trials)]
    return CommonStep(int(candidates.max()), is_shared=False) if len(candidates) else None


def _is_there(trial: FrozenTrial, step: int) -> bool:
    """Tell whether `trial` has reported by `step` and is not pruned yet."""
    return bool(trial.intermediate_values) and min(trial.intermediate_values) <= step <= _end(trial)


def _end(trial: FrozenTrial) -> float:
    """Return the step up to which `trial` is compared. A complete one is not cut short by its last report."""
    return math.inf if trial.state == TrialState.COMPLETE else max(trial.intermediate_values)
