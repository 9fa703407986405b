"""The front of several objectives in any Optuna study: the trials that no other one dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from studies.records.eligible import can_be_best
from studies.reporting.wording import table
from studies.text.wording import counted, shown

MAX_MEMBERS = 20  # trials that the report lists


def front_of_any(study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that no other one dominates, by number. All are feasible and have finite values.

    Empty for one objective, and where the study has no direction.
    """
    valued = list(filter(can_be_best, trials))
    if len(study.directions) == 1 or StudyDirection.NOT_SET in study.directions or not valued:
        return []
    sign = np.array([-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in study.directions])
    losses = np.array([trial.values for trial in valued], dtype=float) * sign
    kept = [not ((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any() for own in losses]
    return [trial for trial, is_kept in zip(valued, kept, strict=True) if is_kept]


def any_front_section(front: Sequence[FrozenTrial], metrics: Sequence[str]) -> str:
    """The front as a table: each trial with its values and its parameters."""
    names = list(dict.fromkeys(name for trial in front for name in trial.params))
    rows = [
        (
            str(trial.number),
            *(f"{value:.4g}" for value in trial.values),
            *(shown(trial.params.get(name, "–")) for name in names),
        )
        for trial in front[:MAX_MEMBERS]
    ]
    n_more = len(front) - MAX_MEMBERS
    rest = f" {counted(n_more, 'more is', 'more are')} not shown." if n_more > 0 else ""
    note = f"No other feasible trial is at least as good in all objectives and better in one.{rest}"
    return f"## The front\n\n{table(('trial', *metrics, *names), rows)}\n\n{note}"
