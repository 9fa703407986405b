"""A study's identity: what must stay the same for its trials to be comparable, kept with the study itself.

The identity is the search space, the fixed config, metric and budget. Where the study runs (accelerator, folders,
loggers), how many trials it makes, its sampler and its pruner are not part of it: a study may continue with others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage

from studies import schema
from studies.config.parameter import Parameter
from studies.config.resolvers import leaves, texts
from studies.config.settings import FIXED_KEYS, Direction, HypothesisSettings, Named, StudySettings
from studies.config.space import SearchSpace
from studies.errors import Problem, StudyChanged
from studies.records.shapes import json_of, yaml_of
from studies.records.stored import trials_of
from studies.secrets.masking import Masked, compared_without_secrets, without_secrets
from studies.secrets.names import is_secret_name
from studies.secrets.texts import MASK
from studies.storage.changed import changes_in_words, command_to_go_on, shown_at
from studies.storage.following import following

NOT_IDENTITY = re.compile(
    r"(interpolated\.)?(loggers|trainer\.(accelerator|devices|enable_\w+|log_every_n_steps|num_sanity_val_steps)"
    r"|datamodule\.(data_dir|num_workers))(\..*)?"
)
REMEDY = "choose another study_name, or resume=fork to begin anew beside it"


def find_study(settings: StudySettings, storage: BaseStorage) -> tuple[optuna.Study | None, StudySettings]:
    """Return the stored study that `settings` would continue, or None, and the settings with its name.

    Raises `StudyChanged` with the differing keys if the stored study of that name is another one, and `BadInput` if it
    was damaged.
    """
    names = {study.study_name for study in storage.get_all_studies()}
    if settings.resume == "fork" and settings.study_name in names:
        name = _free_name(settings.study_name, names)
        folder = settings.output_dir
        own = folder.name == settings.study_name
        settings = settings.renamed(name, folder.with_name(name) if own else folder / name)
    if settings.study_name not in names:
        return None, settings
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    if trials_of(study):
        refuse_changes(identity(settings), study, taken=names, is_designed=settings.is_designed)
    _refuse_another_direction(settings.objective.directions, study)
    return study, settings


def identity(settings: StudySettings) -> dict[str, Any]:
    """Return the flat keys that make trials comparable, with values. Secrets are left out: they may be renewed."""
    written = OmegaConf.to_container(settings.template, resolve=False)
    config = compared_without_secrets(fixed_config(settings.template), written)
    fixed = {key: value for key, value in config.items() if key != "vars" or value}
    as_written = dict(texts(compared_without_secrets(written, written)))
    space = describe_space(settings.space, compared_without_secrets, with_levels=settings.is_designed)
    objective, budget = settings.objective, settings.budget
    values = {
        **dict(leaves(fixed, in_lists=False)),
        **dict(leaves(space, "search_space", in_lists=False)),
        **{f"interpolated.{key}": as_written[key] for key in following(settings.template, settings.space)},
        "objective.metric": objective.metric,
        "objective.direction": objective.direction,
        "objective.value": objective.value,
        "budget.unit": budget.unit,
        "budget.amount": budget.amount,
        "budget.rungs": budget.rungs,
        "replicates": settings.replicates,
    }
    if objective.second is not None:
        values["objective.second.metric"] = objective.second.metric
        values["objective.second.direction"] = objective.second.direction
    for link in settings.links:
        values = {key: value for key, value in values.items() if key != link.target}  # the link overwrites it
        values[f"links.{link.target}"] = link.source
    if settings.devices_per_trial > 1:  # each brings its own batch to a step
        values["launcher.devices_per_trial"] = settings.devices_per_trial
    return {
        key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key) and not isinstance(value, Masked)
    }


def compared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of flat keys that make trials comparable, with values as a storage keeps them."""
    kept = {key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key)}
    return dict(json.loads(json.dumps(kept, default=str)))


def fixed_config(template: DictConfig) -> dict[str, Any]:
    """Return the resolved config of a trial without any point, as plain values."""
    resolved = OmegaConf.to_container(template, resolve=True)
    assert isinstance(resolved, dict)
    return {key: resolved[key] for key in FIXED_KEYS if key in resolved}


def public_config(template: DictConfig) -> dict[str, Any]:
    """Return the fixed config with its secrets masked."""
    written = OmegaConf.to_container(template, resolve=False)
    return dict(without_secrets(fixed_config(template), written))


def describe_space(
    space: SearchSpace, show: Callable[[Any], Any] = without_secrets, *, with_levels: bool
) -> dict[str, dict[str, Any]]:
    """Return the space as plain values, one entry a parameter. `show` masks the secrets of a choice.

    A parameter's name makes nothing a secret. Levels are part of it only where they make the grid.
    """
    return {parameter.name: _describe(parameter, show, with_levels=with_levels) for parameter in space}


def _describe(parameter: Parameter, show: Callable[[Any], Any], *, with_levels: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"paths": list(parameter.paths), "type": parameter.type, "role": parameter.role}
    if parameter.type == "categorical":
        entry["choices"] = {str(name): show(choice) for name, choice in parameter.choices.items()}
    else:
        entry |= {"low": parameter.low, "high": parameter.high, "log": parameter.log, "step": parameter.step}
    if parameter.when:
        entry["when"] = {name: list(values) for name, values in parameter.when.items()}
    if with_levels:
        entry["levels"] = list(parameter.levels or ())
    return entry


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return a short digest of an identity."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def rule_of(study: optuna.Study) -> HypothesisSettings | None:
    """Return the hypothesis and its rule as recorded before the study's first trial. None if it had none."""
    recorded = schema.recorded(study.user_attrs, schema.STUDY_HYPOTHESIS)
    return HypothesisSettings(**recorded) if isinstance(recorded, Mapping) else None


def moved_data(template: DictConfig, study: optuna.Study) -> str | None:
    """Note that the data folder has changed since the study began. The data themselves are not compared."""
    began_with = yaml_of(study.user_attrs.get(schema.STUDY_CONFIG, "")) or {}
    there, here = ((config.get("datamodule") or {}).get("data_dir") for config in (began_with, fixed_config(template)))
    if there is None or here == there:
        return None
    return f"note: datamodule.data_dir is {here} and was {there} when the study began: it is taken for the same data"


def changed_search(now: Mapping[str, str], study: optuna.Study) -> str | None:
    """Note that sampler or pruner differ from those the study began with. `now` are their present names."""
    began_with = study.user_attrs.get(schema.STUDY_SEARCH)
    if not isinstance(began_with, Mapping):
        return None
    before = {key: began_with.get(key, name) for key, name in now.items()}
    changed = [f"{key} is {name} and was {before[key]}" for key, name in now.items() if before[key] != name]
    if not changed:
        return None
    return f"note: {', '.join(changed)} when the study began: trials that are stored stay as they are"


def search_of(sampler: Named, pruner: Named) -> dict[str, str]:
    """Return what a study records of its search: the names of sampler and pruner."""
    return {"sampler": sampler.name, "pruner": pruner.name}


def refuse_changes(values: Mapping[str, Any], study: optuna.Study, *, taken: set[str], is_designed: bool) -> None:
    """Raise `StudyChanged` with the keys in which the identity `values` and the stored study differ.

    `taken` are the names of all stored studies.
    """
    if not schema.is_ours(study.user_attrs) or schema.STUDY_IDENTITY not in study.user_attrs:
        complaint = f"is {study.study_name}, a study in the storage that this framework did not make"
        raise StudyChanged([Problem("study_name", complaint, REMEDY)])
    now = json.loads(json.dumps(values, default=str))
    stored = compared(json_of(study.user_attrs[schema.STUDY_IDENTITY]))
    before = {key: schema.in_present_words(value) for key, value in stored.items()}
    unknown = {key for key, value in before.items() if value == MASK or (key not in now and _is_hidden(key))}
    absent = object()
    changed = [key for key in sorted({*now, *before} - unknown) if now.get(key, absent) != before.get(key, absent)]
    if "budget.amount" in changed and now["budget.unit"] == before.get("budget.unit") == "epochs":
        changed = [key for key in changed if key != "budget.rungs"]  # each epoch is one
    had = before.get("replicates")
    is_hypothesis = schema.STUDY_HYPOTHESIS in study.user_attrs  # its replicates were chosen before its data
    if not is_hypothesis and isinstance(had, int) and now["replicates"] > had:
        changed = [key for key in changed if key != "replicates"]
    if changed:
        problems = [
            Problem(key, f"is {shown_at(now, key)} but {shown_at(before, key)} in the stored study", REMEDY)
            for key in changed
        ]
        command = None if is_designed else command_to_go_on(study.study_name, problems, taken=taken)
        raise StudyChanged(problems, lines=list(changes_in_words(problems, now, before)), command=command)


def _is_hidden(key: str) -> bool:
    """Return whether the value of a flat key may be a secret. Earlier versions kept it, plain or masked."""
    return key.partition(".")[0] != "search_space" and any(map(is_secret_name, key.split(".")))


def _refuse_another_direction(directions: tuple[Direction, ...], study: optuna.Study) -> None:
    """Raise `StudyChanged` where the stored directions differ. Optuna fixes them when it makes a study."""
    wanted = ", ".join(directions)
    stored = ", ".join(direction.name.lower() for direction in study.directions)
    if stored != wanted:
        key = "objective.direction" if len(directions) == len(study.directions) == 1 else "objective"
        raise StudyChanged([Problem(key, f"is {wanted} but {stored} in the stored study", REMEDY)])


def _free_name(name: str, taken: set[str]) -> str:
    return next(numbered for n in range(2, len(taken) + 3) if (numbered := f"{name}-{n}") not in taken)
