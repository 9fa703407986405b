"""The learning curves of trials that report at common rungs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.axis import Array

MAX_RUNGS = 16  # of more, some are looked at
MIN_WHOLE = 8  # complete trials, from which the ends of the others are learnt
MIN_NEXT = 5  # trials that report at a rung and at the next one


@dataclass(frozen=True, slots=True)
class Curves:
    """The values of trials at some rungs, by trial number: (rungs,), NaN after a trial was pruned."""

    values: Mapping[int, Array]

    def last(self, trial: FrozenTrial) -> float | None:
        """Return the last value of a trial, None if it reported nothing."""
        curve = self.values.get(trial.number)
        return None if curve is None else float(curve[~np.isnan(curve)][-1])

    def of(self, numbers: Sequence[int] | np.typing.NDArray[np.int64]) -> Array:
        """Return the curves of these trials: (n, rungs)."""
        return np.array([self.values[int(number)] for number in numbers])


def curves_of(trials: Sequence[FrozenTrial]) -> Curves | None:
    """Return the curves of `trials`. A complete one ends in its own value.

    None if too few trials were complete, or went on after some rung, to learn how curves go on.
    """
    steps = sorted({step for trial in trials for step in trial.intermediate_values})
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MAX_RUNGS)).round().astype(int))
    rungs = [steps[k] for k in chosen]
    found = {trial.number: curve for trial in trials if (curve := _curve(trial, rungs)) is not None}
    if not found or len(rungs) < 2:
        return None
    known = ~np.isnan(np.array(list(found.values())))
    first = int(min(np.flatnonzero(own)[-1] for own in known))
    enough = all((known[:, r] & known[:, r + 1]).sum() >= MIN_NEXT for r in range(first, len(rungs) - 1))
    return Curves(found) if enough and known[:, -1].sum() >= MIN_WHOLE else None


def _curve(trial: FrozenTrial, rungs: Sequence[int]) -> Array | None:
    """Return the last report up to each rung that the trial reached, None if there is no finite one."""
    reports = {step: value for step, value in trial.intermediate_values.items() if math.isfinite(value)}
    curve = np.full(len(rungs), np.nan)
    for k, rung in enumerate(rungs):
        reached = [step for step in reports if step <= rung]
        if reached and max(trial.intermediate_values) >= rung:
            curve[k] = reports[max(reached)]
    if trial.state == TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value):
        curve[-1] = trial.value
    return None if np.isnan(curve).all() else curve
