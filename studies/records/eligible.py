"""Which trials may be the best: complete ones whose values are finite and satisfy every constraint of the study.

Optuna's `Study.best_trial` follows the same rule for constraints: a trial is feasible where none of its constraint
values exceeds zero. Infinite values come from trainings that diverged, so they are nobody's best. That holds for `-inf`
of a metric that is minimised, too.
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
    """Counts of the complete trials that cannot be the best: `infeasible`, and `infinite` ones among the feasible."""

    infeasible: int = 0
    infinite: int = 0

    def __str__(self) -> str:
        counts = {"infeasible": self.infeasible, "infinite": self.infinite}
        return ", ".join(f"{count} {why}" for why, count in counts.items() if count)


def is_feasible(trial: FrozenTrial) -> bool:
    """Return whether `trial` satisfies every constraint that was recorded for it."""
    return all(value <= 0 for value in trial.constraints.values())


def is_finite(value: float) -> bool:
    """Return whether `value` is a number that can be compared with others."""
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
