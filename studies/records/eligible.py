"""Trials that may be the best: complete ones with finite values, within every constraint of the study.

The rule for constraints is that of Optuna's `Study.best_trial`: a trial is feasible if none of its constraint values
exceeds zero. Infinite values come from diverged trainings, so they are never the best, not even `-inf` of a minimised
metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from optuna.trial import FrozenTrial, TrialState

INFINITE: Final = 1e100  # a value beyond this is as good as infinite


@dataclass(frozen=True, slots=True)
class Excluded:
    """Counts of the complete trials that cannot be the best."""

    infeasible: int = 0
    infinite: int = 0  # among the feasible ones

    def __str__(self) -> str:
        counts = {"infeasible": self.infeasible, "infinite": self.infinite}
        return ", ".join(f"{count} {why}" for why, count in counts.items() if count)


def is_feasible(trial: FrozenTrial) -> bool:
    """Return whether `trial` satisfies all its recorded constraints."""
    return all(value <= 0 for value in trial.constraints.values())


def is_finite(value: float) -> bool:
    """Return whether `value` can be compared with others."""
    return math.isfinite(value) and abs(value) < INFINITE


def can_be_best(trial: FrozenTrial) -> bool:
    """Return whether `trial` is complete, with finite values, and feasible."""
    return _is_valued(trial) and is_feasible(trial) and all(map(is_finite, trial.values))


def excluded(trials: Sequence[FrozenTrial]) -> Excluded:
    """Count the complete ones of `trials` that cannot be the best."""
    valued = [trial for trial in trials if _is_valued(trial)]
    feasible = [trial for trial in valued if is_feasible(trial)]
    return Excluded(len(valued) - len(feasible), sum(not can_be_best(trial) for trial in feasible))


def _is_valued(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and bool(trial.values)
