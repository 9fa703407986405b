"""The search space of a stored study, rebuilt from the study's own description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study

from studies import schema
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
