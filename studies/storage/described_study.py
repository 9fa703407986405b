"""The description of a stored study, ours or another tool's: its space, metric, budget and design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from optuna import Study

from studies import schema
from studies.config.budget import Budget, Unit
from studies.config.parameter import Parameter
from studies.config.space import SearchSpace
from studies.records.shapes import yaml_of
from studies.records.stored import attributes_of


def space_of(study: Study) -> SearchSpace | None:
    """Return the space that `study` describes. None if this framework did not make the study.

    Values named like secrets are masked. Levels are known for designs only.
    """
    described = attributes_of(study).get(schema.STUDY_SPACE)
    if described is None:
        return None
    read = yaml_of(described)
    if not isinstance(read, Mapping) or not all(isinstance(e, Mapping) and "paths" in e for e in read.values()):
        return None
    choices = _choices_tried(study)
    return SearchSpace(tuple(_parameter(str(name), entry, choices.get(str(name), {})) for name, entry in read.items()))


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


def _parameter(name: str, entry: Mapping[str, Any], named: Mapping[str, Any]) -> Parameter:
    levels = entry.get("levels")
    return Parameter(
        name=name,
        paths=tuple(entry["paths"]),
        type=entry["type"],
        low=entry.get("low", 0.0),
        high=entry.get("high", 0.0),
        log=entry.get("log", False),
        step=entry.get("step"),
        choices={_own_name(key, choice, named): choice for key, choice in entry.get("choices", {}).items()},
        levels=tuple(levels) if levels else None,
        role=entry["role"],
        when={parent: tuple(allowed) for parent, allowed in entry.get("when", {}).items()},
    )


def _choices_tried(study: Study) -> dict[str, dict[str, Any]]:
    """Return the choices as samplers saw them: parameter → text of a choice → choice. True is described as "True"."""
    found: dict[str, dict[str, Any]] = {}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            for choice in getattr(distribution, "choices", ()):
                found.setdefault(name, {})[str(choice)] = choice
    return found


def _own_name(key: str, choice: Any, named: Mapping[str, Any]) -> Any:
    """Return a choice's name: the tried one of this text, else the value itself if the description has its text."""
    if key in named:
        return named[key]
    return choice if not isinstance(choice, Mapping | list) and str(choice) == key else key
