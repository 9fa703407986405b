"""A study of two objectives seen as a study of the first one.

Context: Optuna gives trials of several objectives no single value, and refuses them intermediate ones. Choice: the
rungs of the first objective are kept in the attribute `rungs`. Code that compares trials by one number sees them
through `by_first`. Cost: a shallow copy of each trial of two objectives.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial

from studies import schema
from studies.config.settings import TRAINING_LOSS


def by_first(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return `trials` with the first objective as their only value, and its rungs as intermediate values.

    Trials of one objective stay as they are.
    """
    return [_by_first(trial) for trial in trials]


def objective_notes(metrics: Sequence[str | None]) -> list[str]:
    """Tell what to know about the metrics of the objectives."""
    if TRAINING_LOSS not in metrics:
        return []
    return [f"{TRAINING_LOSS} is the mean loss on the data that a trial trains on: it says nothing about new data"]


def rungs_of(trial: FrozenTrial) -> Mapping[int, float]:
    """Return what `trial` has reported: rung → value of the first objective."""
    kept = trial.user_attrs.get(schema.RUNGS)
    return trial.intermediate_values if kept is None else {int(index): float(value) for index, value in kept}


def convergence(values: Mapping[int, float], *, tolerance: float) -> int | None:
    """Return the first rung from which the metric (rung → value) stays within `tolerance` of its final value."""
    if not values:
        return None
    rungs = sorted(values)
    final = values[rungs[-1]]
    away = [rung for rung in rungs if abs(values[rung] - final) > tolerance]
    return next(rung for rung in rungs if not away or rung > away[-1])


def second_of(trial: FrozenTrial) -> float | None:
    """Return the value of the second objective. None if `trial` has none."""
    values = trial.values
    return values[1] if values is not None and len(values) > 1 else None


def losses_of(trial: FrozenTrial, *, maximize: bool, then_maximize: bool | None) -> tuple[float, ...]:
    """Return the sort key of a complete `trial`, lower is better: its first value, then its second among equals.

    `then_maximize` is None if there is one objective.
    """
    assert trial.values is not None
    first, second = trial.values[0], second_of(trial)
    losses = (-first if maximize else first,)
    return losses if then_maximize is None or second is None else (*losses, -second if then_maximize else second)


def _by_first(trial: FrozenTrial) -> FrozenTrial:
    values = trial.values
    has_several = values is not None and len(values) > 1
    if not has_several and schema.RUNGS not in trial.user_attrs:
        return trial
    seen = copy.copy(trial)
    seen.values = values[:1] if values is not None else None
    seen.intermediate_values = dict(rungs_of(trial))
    return seen
