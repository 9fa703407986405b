"""The learning curves of trials: some of their reports, the first and the last one among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.axis import Array
from studies.records.eligible import is_finite

MOST_REPORTS = 6  # of a trial: those between them tell little more
MIN_WHOLE = 8  # complete trials, from which the ends of the others are learnt


@dataclass(frozen=True, slots=True)
class Curves:
    """Reports of trials.

    steps: at which a report of some trial is kept, ascending: (k,)
    values: by trial number, at these steps: (k,), NaN where none is kept
    """

    steps: Array
    values: Mapping[int, Array]

    def last(self, trial: FrozenTrial) -> float | None:
        """Return the last value of a trial, None if it reported nothing. That of a diverged one is not finite."""
        last = _last(trial)
        if last is not None and not is_finite(last):
            return last
        curve = self.values.get(trial.number)
        return None if curve is None else float(curve[~np.isnan(curve)][-1])

    def of(self, numbers: Sequence[int] | np.typing.NDArray[np.int64]) -> Array:
        """Return the curves of these trials: (n, k)."""
        return np.array([self.values[int(number)] for number in numbers])


def curves_of(trials: Sequence[FrozenTrial]) -> Curves | None:
    """Return the curves of `trials`. A complete one ends in its own value, at the last step of all.

    None if there is one step only, or fewer than eight complete trials.
    """
    end = max((step for trial in trials for step in trial.intermediate_values), default=0)
    reports = {trial.number: own for trial in trials if (own := _reports(trial, end))}
    steps = np.array(sorted({step for own in reports.values() for step in own}))
    if len(steps) < 2 or sum(end in own for own in reports.values()) < MIN_WHOLE:
        return None
    return Curves(
        steps.astype(float),
        {number: np.array([own.get(step, np.nan) for step in steps]) for number, own in reports.items()},
    )


def _last(trial: FrozenTrial) -> float | None:
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None


def _reports(trial: FrozenTrial, end: int) -> dict[int, float]:
    """Return some reports of a trial by their step, those that are no number left out."""
    reports = {step: value for step, value in sorted(trial.intermediate_values.items()) if is_finite(value)}
    if trial.state == TrialState.COMPLETE and trial.value is not None and is_finite(trial.value):
        reports[end] = trial.value
    steps = list(reports)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_REPORTS)).round().astype(int))
    return {steps[k]: reports[steps[k]] for k in chosen}
