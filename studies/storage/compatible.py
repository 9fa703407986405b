"""Which trials of another study fit into this one.

A trial fits where this study would train the same configuration at some point of its space. Its point, written into the
config of its own study, must give the same keys and values as the point found for it gives in ours. So a parameter
that was fixed before may be searched now, and the other way round. Metric, budget and devices a trial are no part of a
configuration and must be the same.

Both configs are compared as resolved without a point, since studies record them in this form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.config.parameter import Parameter, Value
from studies.config.resolvers import leaves
from studies.config.settings import FIXED_KEYS, StudySettings
from studies.config.space import Point, SearchSpace, plain_values, select
from studies.errors import BadInput, Problem, nearest
from studies.records.shapes import json_of, yaml_of
from studies.records.stored import refuse_earlier_schema, trials_of
from studies.secrets.masking import without_secrets
from studies.secrets.texts import MASK
from studies.storage.described_study import space_of
from studies.storage.identity import compared, identity, public_config

ENDED_WELL = (TrialState.COMPLETE, TrialState.PRUNED)
OF_THE_OTHER_STUDY = frozenset(  # attributes that mean something among the trials of one study only
    {
        *(schema.SLOT, schema.RETRY_OF, schema.ATTEMPT, schema.REDRAWN, schema.RESUMED_FROM, schema.RESTARTED),
        *(schema.LEASE, schema.IMPORTED_FROM),
    }
)
OF_THE_CONFIG = (*FIXED_KEYS, "search_space", "replicates")
KEY = "import_from"
SHOWN_KEYS = 3  # of those that differ, in a reason


@dataclass(frozen=True, slots=True)
class Compatible:
    """The trials of another study that fit."""

    origin: str  # the other study
    trials: tuple[FrozenTrial, ...]  # as they are to be added
    left_out: Mapping[str, int]  # reason → how many trials do not fit

    def __str__(self) -> str:
        total = len(self.trials) + sum(self.left_out.values())
        reasons = "; ".join(f"{count}: {reason}" for reason, count in self.left_out.items())
        left_out = f" (left out: {reasons})" if reasons else ""
        return f"{len(self.trials)} of {total} trials of study {self.origin}{left_out}"


class _Unfit(Exception):
    """A trial does not fit. The message gives the reason, and `keys` the differing keys if there are any."""

    def __init__(self, reason: str, keys: frozenset[str] = frozenset()) -> None:
        self.keys = keys
        super().__init__(reason)


def compatible_trials(settings: StudySettings, storage: BaseStorage) -> Compatible:
    """Return the trials of `settings.import_from` that fit into the study of `settings`.

    Raises `BadInput` if there is no such study, or if no trial fits: then with the differing keys.
    """
    study = _origin(str(settings.import_from), storage, importer=settings.study_name)
    trials = _stored_trials(study)
    space = space_of(study)
    if space is None or not {schema.STUDY_CONFIG, schema.STUDY_IDENTITY} <= study.user_attrs.keys():
        complaint = f"is {study.study_name}, a study that this framework did not make"
        raise BadInput([Problem(KEY, complaint, "name a study that studies.run made, or give null")])
    _refuse_another_task(identity(settings), study)
    here, there = public_config(settings.template), dict(yaml_of(study.user_attrs[schema.STUDY_CONFIG]))
    comparison = _Comparison(settings.space, OmegaConf.create(here), space, OmegaConf.create(there))
    found, left_out, differing = [], Counter[str](), []
    for trial in trials:
        if schema.VOID in trial.user_attrs:
            continue
        try:
            found.append(_imported(trial, settings.space, comparison.point_of(trial), study.study_name))
        except _Unfit as unfit:
            left_out[str(unfit)] += 1
            differing.append(unfit.keys)
    if not found:
        raise BadInput(_nothing_fits(study, left_out, comparison, differing))
    return Compatible(study.study_name, tuple(found), dict(left_out.most_common()))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The spaces and fixed configs of both studies: ours and the other one's."""

    space: SearchSpace
    here: DictConfig
    other_space: SearchSpace
    there: DictConfig

    def point_of(self, trial: FrozenTrial) -> Point:
        """Return the point of our space that trains as `trial` did. Raises `_Unfit`."""
        if trial.state not in ENDED_WELL:
            raise _Unfit("did not end with a result")
        trained = self._trained(trial)
        point = self.space.point(lambda parameter: _value(parameter, trial, trained))
        try:
            ours = self.space.apply(self.here, point)
        except KeyError as error:
            raise _Unfit(str(error.args[0])) from None
        keys = _differing(_flat(trained), _flat(ours))
        if keys:
            shown = ", ".join(sorted(keys)[:SHOWN_KEYS]) + (", …" if len(keys) > SHOWN_KEYS else "")
            raise _Unfit(f"{shown} {'differs' if len(keys) == 1 else 'differ'} from what it is here", keys)
        return point

    def differing_now(self) -> dict[str, tuple[Any, Any]]:
        """Return the keys in which the fixed configs differ, each with its value here and there."""
        here, there = _flat(self.here), _flat(self.there)
        return {key: (here.get(key), there.get(key)) for key in _differing(here, there)}

    def _trained(self, trial: FrozenTrial) -> DictConfig:
        known = {name: value for name, value in trial.params.items() if name in self.other_space.names}
        try:
            return self.other_space.apply(self.there, known)
        except KeyError as error:
            raise _Unfit(f"cannot be read: {error.args[0]}") from None


def _origin(name: str, storage: BaseStorage, *, importer: str) -> optuna.Study:
    names = [study.study_name for study in storage.get_all_studies()]
    if name == importer:
        remedy = "give the study that begins another study_name, or import_from=null"
        raise BadInput([Problem(KEY, f"is {name}, the study itself", remedy)])
    if name not in names:
        others = [other for other in names if other != importer]
        raise BadInput([Problem(KEY, f"is {name}, which the storage does not hold", nearest(name, others))])
    study = optuna.load_study(study_name=name, storage=storage)
    searched = schema.searched_study(study.user_attrs)
    if searched is not None:
        complaint = f"is {name}, a round of a selection, whose seeds a selection here would train as fresh ones"
        raise BadInput([Problem(KEY, complaint, f"name the study that was searched: {searched}")])
    return study


def _stored_trials(study: optuna.Study) -> list[FrozenTrial]:
    try:
        refuse_earlier_schema(study)
        return trials_of(study)
    except BadInput as error:
        raise BadInput([Problem(KEY, problem.complaint, problem.remedy) for problem in error.problems]) from None


def _refuse_another_task(own: Mapping[str, Any], study: optuna.Study) -> None:
    """Raise `BadInput` where the identities differ in anything besides a trial's config, such as metric or budget."""
    here, there = (
        {key: value for key, value in compared(values).items() if key.partition(".")[0] not in OF_THE_CONFIG}
        for values in (own, json_of(study.user_attrs[schema.STUDY_IDENTITY]))
    )
    keys = _differing(here, there)
    if keys:
        shown = {key: (here.get(key), there.get(key)) for key in keys}
        raise BadInput(_told(shown, study.study_name))


def _value(parameter: Parameter, trial: FrozenTrial, trained: DictConfig) -> Value:
    """Return the value of `parameter` under which `trial` trained. Raises `_Unfit`."""
    name = parameter.name
    if parameter.type == "categorical":
        if name in trial.params and parameter.contains(trial.params[name]):
            named: Value = trial.params[name]
            return named
        node = plain_values(select(trained, parameter.paths[0]), resolve=False)
        for choice, written in parameter.choices.items():
            if without_secrets(written) == node and isinstance(written, bool) == isinstance(node, bool):
                return choice
        raise _Unfit(f"{name} was none of its choices here")
    value = select(trained, parameter.paths[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit(f"{name} was not set")
    if not parameter.contains(value):
        raise _Unfit(f"{name} lies outside its values here")
    return float(value) if parameter.type == "float" else int(value)


def _flat(config: DictConfig) -> dict[str, Any]:
    return compared(dict(leaves(OmegaConf.to_container(config))))  # a parameter may set a member of a list


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> frozenset[str]:
    absent = object()
    pairs = {key: (first.get(key, absent), second.get(key, absent)) for key in {*first, *second}}
    return frozenset(key for key, pair in pairs.items() if pair[0] != pair[1] and MASK not in pair)


def _imported(trial: FrozenTrial, space: SearchSpace, point: Point, origin: str) -> FrozenTrial:
    """Return `trial` at its point of our space, with all that it recorded of its training."""
    kept = {key: value for key, value in trial.user_attrs.items() if key not in OF_THE_OTHER_STUDY}
    made = create_trial(
        state=trial.state,
        values=trial.values,
        params=dict(point),
        distributions={name: space[name].distribution() for name in point},
        user_attrs={**kept, schema.IMPORTED_FROM: {"study": origin, "trial": trial.number}},
        intermediate_values=trial.intermediate_values,
    )
    made.datetime_start, made.datetime_complete = trial.datetime_start, trial.datetime_complete
    return made


def _nothing_fits(
    study: optuna.Study, left_out: Counter[str], comparison: _Comparison, differing: list[frozenset[str]]
) -> list[Problem]:
    """Return a problem for each key that differs for all trials. If there is none, return one with all reasons."""
    always = frozenset.intersection(*differing) if differing else frozenset()
    fixed = {key: values for key, values in comparison.differing_now().items() if key in always}
    if fixed:
        return _told(fixed, study.study_name)
    reasons = "; ".join(f"{count}: {reason}" for reason, count in left_out.most_common()) or "it has none"
    complaint = f"is {study.study_name}, none of whose trials fits ({reasons})"
    return [Problem(KEY, complaint, "give another study, a space that holds its trials, or null")]


def _told(differing: Mapping[str, tuple[Any, Any]], origin: str) -> list[Problem]:
    remedy = "give what it is there, or import_from=null"
    return [
        Problem(key, f"is {here!r} but {there!r} in study {origin}, from which trials are to be imported", remedy)
        for key, (here, there) in sorted(differing.items())
    ]
