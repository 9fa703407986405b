"""Read and check the trials of a stored study, in one place.

Context: a storage is input. Another tool may use the names of our attributes, and a person may edit ours. Choice:
`schema.is_ours` decides whose study it is. Another tool's study loses all attributes of these names, except a `source`
that names a sampler. It also loses values and constraints that are no numbers. Its categories become texts if they are
no plain values. A study of ours is checked against `studies.records.shapes`. Cost: shallow copies of another tool's
trials, and a check of each attribute of ours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from optuna import Study
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from studies import schema
from studies.config.settings import SamplerName
from studies.errors import BadInput, Problem
from studies.records.shapes import (
    CONSTRAINTS,
    OF_A_TRIAL,
    PLAIN,
    TOO_LARGE,
    damage_of_study,
    damage_of_trial,
    has_sound_constraints,
    has_sound_values,
)

UPGRADE = "install a later version (pip install -U lightning-studies)"
REMEDY = "restore what was edited, or name another study"
NAMES_OF_OURS = frozenset({*OF_A_TRIAL, *schema.EARLIER.values()})
PROPOSERS = frozenset({*get_args(SamplerName), "explore", "enqueued"})


def trials_of(study: Study) -> list[FrozenTrial]:
    """Return all trials of `study`, checked or cleaned.

    Raises `BadInput` if the study is ours and of a later schema, or has a damaged attribute.
    """
    trials = study.get_trials(deepcopy=False)
    if not schema.is_ours(study.user_attrs):
        return _of_another_tool([_sound(trial, n_objectives=len(study.directions)) for trial in trials])
    later = later_schema_of(study)
    if later is not None:
        raise BadInput([Problem("study_name", f"is {study.study_name}, {later}", UPGRADE)])
    damage = damage_of(study)
    if damage is not None:
        raise BadInput([Problem("study_name", f"is {study.study_name}, which the storage holds {damage}", REMEDY)])
    return trials


def later_schema_of(study: Study) -> str | None:
    """Say that a study of ours has a later schema than this version reads. None if it has not."""
    version = schema.version_of(study.user_attrs)
    if not schema.is_ours(study.user_attrs) or version <= schema.VERSION:
        return None
    return f"stored under schema {version}, and this version of lightning-studies reads schema {schema.VERSION} at most"


def refuse_earlier_schema(study: Study) -> None:
    """Raise `BadInput` if `study` is ours and of an earlier schema: further trials would be of another one."""
    version = schema.version_of(study.user_attrs)
    if not schema.is_ours(study.user_attrs) or version >= schema.VERSION:
        return
    complaint = f"is {study.study_name}, stored under schema {version}, and this version of lightning-studies goes on"
    complaint += f" under schema {schema.VERSION} only (report and list read it)"
    remedy = "give another study_name, or resume=fork to begin anew beside it"
    raise BadInput([Problem("study_name", complaint, remedy)])


def damage_of(study: Study) -> str | None:
    """Describe the first damaged attribute of a study of ours, and count the others. None if all are sound."""
    if not schema.is_ours(study.user_attrs):
        return None
    found = list(damage_of_study(study.user_attrs))
    for trial in study.get_trials(deepcopy=False):
        told = damage_of_trial(trial, n_objectives=len(study.directions))
        found += [f"of trial {trial.number}, {damage}" for damage in told]
    more = f", and {len(found) - 1} more of this kind" if len(found) > 1 else ""
    return f"damaged: {found[0]}{more}" if found else None


def attributes_of(study: Study) -> Mapping[str, Any]:
    """Return the attributes of a study of ours. It is empty if another tool made the study."""
    return study.user_attrs if schema.is_ours(study.user_attrs) else {}


def _of_another_tool(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Drop attributes that only look like ours, and make categories plain and distinct values."""
    texts = _texts(trials)
    return [_plain(trial, {name: texts[name] for name in _categories(trial) if name in texts}) for trial in trials]


def _sound(trial: FrozenTrial, *, n_objectives: int) -> FrozenTrial:
    """Drop values unless there is a number for each objective, and constraints unless they are numbers."""
    is_valued = has_sound_values(trial, n_objectives=n_objectives)
    is_constrained = has_sound_constraints(trial)
    if is_valued and is_constrained:
        return trial
    seen = copy.copy(trial)
    seen.values = trial.values if is_valued else None
    if not is_constrained:
        seen.system_attrs = {k: v for k, v in trial.system_attrs.items() if k.partition(":")[0] != CONSTRAINTS}
    return seen


def _categories(trial: FrozenTrial) -> dict[str, Sequence[Any]]:
    """Return the choices of the trial's categorical parameters, each with the trial's own choice."""
    found = {name: own for name, own in trial.distributions.items() if isinstance(own, CategoricalDistribution)}
    return {name: (*own.choices, trial.params[name]) for name, own in found.items()}


def _plain(trial: FrozenTrial, texts: Mapping[str, Mapping[str, str]]) -> FrozenTrial:
    """Replace choices by `texts`: parameter → a choice as Python writes it → its text."""
    if not texts and NAMES_OF_OURS.isdisjoint(trial.user_attrs):
        return trial
    seen = copy.copy(trial)
    origin = _origin(trial.user_attrs)
    seen.user_attrs = {
        key: value for key, value in trial.user_attrs.items() if key not in NAMES_OF_OURS or key in origin
    }
    seen.params = {**trial.params, **{name: own[repr(trial.params[name])] for name, own in texts.items()}}
    choices = {name: CategoricalDistribution(tuple(own.values())) for name, own in texts.items()}
    seen.distributions = {**trial.distributions, **choices}
    return seen


def _origin(attributes: Mapping[str, Any]) -> set[str]:
    """Return the attributes that are kept from any tool: the proposer of a trial, and its training seed.

    A `source` that names no sampler means something else, and so does a `replicate` beside it.
    """
    source, replicate = attributes.get(schema.SOURCE), attributes.get(schema.REPLICATE)
    if not isinstance(source, str) or source not in PROPOSERS:
        return set()
    is_numbered = isinstance(replicate, int) and not isinstance(replicate, bool) and abs(replicate) < TOO_LARGE
    return {schema.SOURCE, schema.REPLICATE} if is_numbered else {schema.SOURCE}


def _texts(trials: Sequence[FrozenTrial]) -> dict[str, dict[str, str]]:
    """Collect texts of choices that need one: parameter → a choice as Python writes it → its text."""
    known: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for name, choices in _categories(trial).items():
            known.setdefault(name, {}).update({repr(choice): choice for choice in choices})
    return {name: _distinct(own) for name, own in known.items() if not _stand_alone(list(own.values()))}


def _stand_alone(choices: Sequence[Any]) -> bool:
    """Return whether all are plain values, and no two are equal or have the same text, such as 1, True and "1"."""
    if not all(isinstance(choice, PLAIN) for choice in choices):
        return False
    is_number = all(not isinstance(choice, float) or not math.isnan(choice) for choice in choices)
    return is_number and len(set(choices)) == len({str(choice) for choice in choices}) == len(choices)


def _distinct(choices: Mapping[str, Any]) -> dict[str, str]:
    """Return a text for each choice: its own, or its Python form if two would have the same."""
    texts = {written: str(choice) for written, choice in choices.items()}
    for written, text in list(texts.items()):
        if list(texts.values()).count(text) > 1 and not isinstance(choices[written], int | float | None):
            texts[written] = written
    return texts if len(set(texts.values())) == len(texts) else {written: written for written in texts}
