"""The axes of a study's trials: one for each parameter that varies among them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from studies.analysis.axis import Axis, axis_of
from studies.errors import BadInput, Problem, nearest

ROUNDING = 1e-9  # of a parameter's range, by which a value may lie outside


def axes_of(
    trials: Sequence[FrozenTrial], params: Sequence[str] | None, powers: frozenset[str]
) -> tuple[tuple[Axis, ...], dict[str, str]]:
    """Return the axes of `trials`, of those in `params` if given, and why other parameters have none.

    `powers` are the parameters with powers of two. Raises `BadInput` for parameters that no trial has.
    """
    known = list(dict.fromkeys(name for trial in trials for name in trial.params))
    unknown = [name for name in params or () if name not in known]
    if unknown and trials:
        raise BadInput(
            [Problem(f"params.{name}", "is no parameter of the study", nearest(name, known)) for name in unknown]
        )
    axes, dropped = [], {}
    for name in known if params is None else [name for name in params if name in known]:
        axis, reason = _axis(name, [trial for trial in trials if name in trial.params], powers)
        if axis is None:
            dropped[name] = reason
        else:
            axes.append(axis)
    return tuple(axes), dropped


def is_inside(trial: FrozenTrial, axes: Sequence[Axis]) -> bool:
    """Return whether `trial` lies within its parameters' ranges. A queued point may lie outside."""
    return all(_has_inside(axis, trial) for axis in axes)


def encoded(axis: Axis, trial: FrozenTrial) -> float:
    """Return the position of `trial` on `axis`, NaN where the parameter was not active."""
    return axis.encode(trial.params[axis.name]) if axis.name in trial.params else math.nan


def _axis(name: str, trials: Sequence[FrozenTrial], powers: frozenset[str]) -> tuple[Axis | None, str]:
    """Return the axis of a parameter that `trials` have, or why there is none."""
    distributions = list(dict.fromkeys(trial.distributions[name] for trial in trials))
    axis = axis_of(name, distributions, is_power_of_two=name in powers)
    if axis is None:
        return None, "its trials had ranges of different kinds"
    if axis.is_single or len({trial.params[name] for trial in trials}) < 2:
        return None, "all trials had the same value" if len(trials) > 1 else "only one trial had it"
    return axis, ""


def _has_inside(axis: Axis, trial: FrozenTrial) -> bool:
    if axis.kind == "categorical" or axis.name not in trial.params:
        return True
    margin = ROUNDING * (axis.high - axis.low)
    return axis.low - margin <= encoded(axis, trial) <= axis.high + margin
