"""The description of a stored study, ours or another tool's: its metric, budget and design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from optuna import Study

from studies import schema
from studies.config.budget import Budget, Unit
from studies.records.stored import attributes_of
from studies.storage.described_space import space_of


def repeats_points(study: Study) -> bool:
    """Return whether a study of ours trains each of its points with several seeds: a design, or a selection's round."""
    space = space_of(study)
    is_designed = space is not None and any(parameter.levels is not None for parameter in space)
    return is_designed or schema.read_round(study.user_attrs) is not None


def metric_of(study: Study) -> str:
    """Return the name of a study's value: what this framework recorded, Optuna's metric name, or `value`."""
    recorded = attributes_of(study).get(schema.STUDY_METRIC)
    if isinstance(recorded, Mapping) and recorded.get("name"):
        return str(recorded["name"])
    return study.metric_names[0] if study.metric_names else "value"


def budget_of(study: Study) -> Budget | None:
    """Return the budget of a trial. None if this framework recorded none."""
    recorded = attributes_of(study).get(schema.STUDY_BUDGET)
    if not isinstance(recorded, Mapping) or recorded.get("unit") not in get_args(Unit):
        return None
    amount, rungs = recorded.get("amount"), recorded.get("rungs")
    if not isinstance(amount, int | float) or not isinstance(rungs, int) or rungs < 1:
        return None
    return Budget(recorded["unit"], amount, rungs)
