"""The objective of a study, in words: each metric with its direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from optuna import Study

from studies import schema
from studies.config.parsing.direction import usual_direction
from studies.config.settings import Direction, ObjectiveSettings
from studies.records.stored import attributes_of
from studies.text.wording import NONE, listed

RUNGS = {"last": "its last rung", "best": "its best rung"}


def goal(objective: ObjectiveSettings) -> str:
    """Return the objective in words, such as "maximize val/accuracy and minimize seconds"."""
    goals = [f"{objective.direction} {objective.metric}"]
    goals += [f"{second.direction} {second.metric}" for second in (objective.second,) if second is not None]
    return listed(goals)


def goal_sentence(objective: ObjectiveSettings) -> str:
    """Return the objective and the rung of a trial's value, as sentences."""
    return f"Objective: {goal(objective)}. The value of a trial is that at {RUNGS[objective.value]}."


def goal_notes(objective: ObjectiveSettings) -> list[str]:
    """Return a note for each `direction_is_meant`: it confirms an unusual direction, or does nothing."""
    notes = []
    for key, one in (("objective", objective), ("objective.second", objective.second)):
        if one is not None and one.direction_is_meant:
            unusual = _unusual(one.metric, one.direction)
            found = f"confirms it: {unusual}" if unusual else f"does nothing: {one.direction} needs no confirmation"
            notes.append(f"note: {key}.direction_is_meant {found}")
    return notes


def stored_goals(study: Study) -> list[tuple[str, str]]:
    """Return each metric of a stored study with its direction. A metric without a name is a dash."""
    directions = [direction.name.lower().replace("not_set", "no direction") for direction in study.directions]
    recorded = attributes_of(study).get(schema.STUDY_METRIC)
    names = list(_names(recorded)) if isinstance(recorded, Mapping) else list(study.metric_names or ())
    return [(names[i] if i < len(names) else NONE, direction) for i, direction in enumerate(directions)]


def stored_goal_sentence(study: Study) -> str:
    """Return the objective of a stored study as a sentence, with a note on unusual directions."""
    goals = [(name if name != NONE else "the value", direction) for name, direction in stored_goals(study)]
    unusual = [told for name, direction in goals if (told := _unusual(name, direction))]
    sentence = f"Objective: {listed([f'{direction} {name}' for name, direction in goals])}."
    return f"{sentence} Note that {listed(unusual)}." if unusual else sentence


def _names(recorded: Mapping[str, object]) -> Iterator[str]:
    yield str(recorded.get("name", NONE))
    second = recorded.get("second")
    if isinstance(second, Mapping):
        yield str(second.get("name", NONE))


def _unusual(metric: str, direction: str) -> str:
    usual = usual_direction(metric)
    if usual in (None, direction) or direction not in get_args(Direction):
        return ""
    return f"of {metric} {'less' if usual == 'minimize' else 'more'} is better by its name"
