"""The trials table: one row a trial, and the encoded matrix that analyses are computed on.

Parameters are encoded on their search scale (log10 where the distribution is logarithmic; a category by its index).
Only trials that ended well have a value of their own; where some were pruned, using those alone would be an analysis
of survivors, so all trials are compared at the last rung that each of them reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from studies.schema import failure_of

PRUNED_SHARE = 0.10  # above this share of pruned trials, survivors alone mislead


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """Encoded trials: `x` is (n, d), `y` is (n,) in the metric's own unit, `names` and `distributions` have d entries.

    `policy` says which value a trial counts with: `final`, or `rung k`. `n_left_out` counts finished trials without
    such a value (diverged, failed, or pruned before that rung).
    """

    names: tuple[str, ...]
    distributions: tuple[BaseDistribution, ...]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    policy: str
    n_left_out: int


def trials_table(trials: Sequence[FrozenTrial]) -> TrialsTable:
    """The table of a study's finished trials, over the parameters that all of them have."""
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    valued = [trial for trial in finished if failure_of(trial) is None]
    pruned = sum(1 for trial in valued if trial.state == TrialState.PRUNED)
    rung = _common_rung(valued) if pruned > PRUNED_SHARE * max(1, len(valued)) else None
    used = [(trial, value) for trial in valued if (value := _value(trial, rung)) is not None]
    names = _common_names([trial for trial, _ in used])
    distributions = tuple(used[0][0].distributions[name] for name in names) if used else ()
    x = [[encode(trial.params[name], trial.distributions[name]) for name in names] for trial, _ in used]
    return TrialsTable(
        names=names,
        distributions=distributions,
        x=np.array(x, dtype=float).reshape(len(used), len(names)),
        y=np.array([value for _, value in used], dtype=float),
        policy="final" if rung is None else f"rung {rung}",
        n_left_out=len(finished) - len(used),
    )


def encode(value: Any, distribution: BaseDistribution) -> float:
    """A parameter's value on its search scale."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return math.log10(value) if distribution.log else float(value)


def _common_rung(trials: Sequence[FrozenTrial]) -> int | None:
    """The last rung that every trial with a report reached; None where none reported anything."""
    last = [max(trial.intermediate_values, default=None) for trial in trials]
    return min((step for step in last if step is not None), default=None)


def _value(trial: FrozenTrial, rung: int | None) -> float | None:
    if rung is not None:
        return trial.intermediate_values.get(rung)
    return trial.value if trial.state == TrialState.COMPLETE else None


def _common_names(trials: Sequence[FrozenTrial]) -> tuple[str, ...]:
    if not trials:
        return ()
    common = set.intersection(*(set(trial.params) for trial in trials))
    return tuple(name for name in trials[0].params if name in common)
