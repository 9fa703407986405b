"""A study's identity: what must stay the same for its trials to be comparable, kept with the study itself.

Space, fixed config, metric and budget belong to it. Where the study runs (accelerator, folders, loggers), how many
trials it makes, and its sampler and pruner do not: a study may be continued with more trials or another sampler.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage

from studies import schema
from studies.config.parameter import Parameter
from studies.config.resolvers import texts
from studies.config.settings import FIXED_KEYS, HypothesisSettings, StudySettings
from studies.errors import Problem, StudyChanged
from studies.records.shapes import json_of, yaml_of
from studies.records.stored import trials_of
from studies.secrets.masking import Masked, compared_without_secrets, without_secrets
from studies.secrets.names import is_secret_name
from studies.secrets.texts import MASK
from studies.storage.changed import changes_in_words, command_to_go_on
from studies.storage.following import following

NOT_IDENTITY = re.compile(
    r"(interpolated\.)?(loggers|trainer\.(accelerator|devices|enable_\w+|log_every_n_steps|num_sanity_val_steps)"
    r"|datamodule\.(data_dir|num_workers))(\..*)?"
)
REMEDY = "choose another study_name, or resume=fork to begin anew beside it"


def find_study(settings: StudySettings, storage: BaseStorage) -> tuple[optuna.Study | None, StudySettings]:
    """The stored study that `settings` would continue, or None; and the settings with the name it has or will have.

    Raises `StudyChanged` with the differing keys where the storage holds another study of that name, and `BadInput`
    where the stored study was damaged.
    """
    names = {study.study_name for study in storage.get_all_studies()}
    if settings.resume == "fork" and settings.study_name in names:
        settings = _renamed(settings, names)
    if settings.study_name not in names:
        return None, settings
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    if trials_of(study):
        refuse_changes(settings, study, taken=names)
    _refuse_another_direction(settings, study)
    return study, settings


def identity(settings: StudySettings) -> dict[str, Any]:
    """Return the keys that make trials comparable, flat, with their values; no secrets, for a token may be renewed."""
    written = OmegaConf.to_container(settings.template, resolve=False)
    config = compared_without_secrets(fixed_config(settings), written)
    fixed = {key: value for key, value in config.items() if key != "vars" or value}
    as_written = dict(texts(compared_without_secrets(written, written)))
    objective, budget = settings.objective, settings.budget
    values = {
        **dict(_flat(fixed)),
        **dict(_flat(_with_choices(settings, compared_without_secrets), prefix="search_space")),
        **{f"interpolated.{key}": as_written[key] for key in following(settings)},
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
    if settings.devices_per_trial > 1:  # each brings a batch of its own to a step
        values["launcher.devices_per_trial"] = settings.devices_per_trial
    return {
        key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key) and not isinstance(value, Masked)
    }


def compared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of flat keys that make trials comparable, with values as they are stored."""
    kept = {key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key)}
    return dict(json.loads(json.dumps(kept, default=str)))


def fixed_config(settings: StudySettings) -> dict[str, Any]:
    """The resolved config of a trial without any point, as plain values."""
    resolved = OmegaConf.to_container(settings.template, resolve=True)
    assert isinstance(resolved, dict)
    return {key: resolved[key] for key in FIXED_KEYS if key in resolved}


def public_config(settings: StudySettings) -> dict[str, Any]:
    """Return the fixed config with its secrets masked."""
    written = OmegaConf.to_container(settings.template, resolve=False)
    return dict(without_secrets(fixed_config(settings), written))


def public_space(settings: StudySettings) -> dict[str, dict[str, Any]]:
    """Return the described space with the secrets of its choices masked. A parameter's name makes nothing a secret."""
    return _with_choices(settings, without_secrets)


def _with_choices(settings: StudySettings, shown: Callable[[Any], Any]) -> dict[str, dict[str, Any]]:
    """Return the described space with each choice as it is `shown`."""
    space = describe_space(settings)
    for entry in space.values():
        if "choices" in entry:
            entry["choices"] = {name: shown(choice) for name, choice in entry["choices"].items()}
    return space


def fingerprint(values: Mapping[str, Any]) -> str:
    """A short digest of an identity."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def describe_space(settings: StudySettings) -> dict[str, dict[str, Any]]:
    """The space as plain values, one entry a parameter. `levels` only where they make the grid."""
    return {parameter.name: _describe(parameter, with_levels=settings.is_designed) for parameter in settings.space}


def _describe(parameter: Parameter, *, with_levels: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"paths": list(parameter.paths), "type": parameter.type, "role": parameter.role}
    if parameter.type == "categorical":
        entry["choices"] = {str(name): choice for name, choice in parameter.choices.items()}
    else:
        entry |= {"low": parameter.low, "high": parameter.high, "log": parameter.log, "step": parameter.step}
    if parameter.when:
        entry["when"] = {name: list(values) for name, values in parameter.when.items()}
    if with_levels:
        entry["levels"] = list(parameter.levels or ())
    return entry


def rule_of(study: optuna.Study) -> HypothesisSettings | None:
    """The hypothesis and its rule as they stood before the study's first trial; None where it had none."""
    recorded = schema.recorded(study.user_attrs, schema.STUDY_HYPOTHESIS)
    return HypothesisSettings(**recorded) if isinstance(recorded, Mapping) else None


def moved_data(settings: StudySettings, study: optuna.Study) -> str | None:
    """A note where the data lie elsewhere than when the study began; what lies there is not looked at."""
    began_with = yaml_of(study.user_attrs.get(schema.STUDY_CONFIG, "")) or {}
    there, here = ((config.get("datamodule") or {}).get("data_dir") for config in (began_with, fixed_config(settings)))
    if there is None or here == there:
        return None
    return f"note: datamodule.data_dir is {here} and was {there} when the study began: it is taken for the same data"


def changed_search(settings: StudySettings, study: optuna.Study) -> str | None:
    """A note where another sampler or pruner is asked for than the study began with: what is stored stays."""
    began_with = study.user_attrs.get(schema.STUDY_SEARCH)
    if not isinstance(began_with, Mapping):
        return None
    pairs = [(key, now, began_with.get(key, now)) for key, now in search_of(settings).items()]
    changed = [f"{key} is {now} and was {before}" for key, now, before in pairs if before != now]
    if not changed:
        return None
    return f"note: {', '.join(changed)} when the study began: trials that are stored stay as they are"


def search_of(settings: StudySettings) -> dict[str, str]:
    """Return what a study records of its search: the names of sampler and pruner."""
    return {"sampler": settings.sampler.name, "pruner": settings.pruner.name}


def refuse_changes(settings: StudySettings, study: optuna.Study, *, taken: set[str]) -> None:
    """Raise `StudyChanged` with the keys in which `settings` and the stored study differ."""
    if not schema.is_ours(study.user_attrs) or schema.STUDY_IDENTITY not in study.user_attrs:
        complaint = f"is {settings.study_name}, a study in the storage that this framework did not make"
        raise StudyChanged([Problem("study_name", complaint, REMEDY)])
    now = json.loads(json.dumps(identity(settings), default=str))
    stored = compared(json_of(study.user_attrs[schema.STUDY_IDENTITY]))
    before = {key: schema.in_present_words(value) for key, value in stored.items()}
    unknown = {key for key, value in before.items() if value == MASK or (key not in now and _is_hidden(key))}
    changed = [key for key in sorted({*now, *before} - unknown) if now.get(key, _ABSENT) != before.get(key, _ABSENT)]
    if "budget.amount" in changed and now["budget.unit"] == before.get("budget.unit") == "epochs":
        changed = [key for key in changed if key != "budget.rungs"]  # each epoch is one
    if changed:
        problems = [
            Problem(key, f"is {_shown(now, key)} but {_shown(before, key)} in the stored study", REMEDY)
            for key in changed
        ]
        command = command_to_go_on(settings, problems, taken=taken)
        raise StudyChanged(problems, lines=list(changes_in_words(problems, now, before)), command=command)


def _is_hidden(key: str) -> bool:
    """Return whether the value of a flat key may be a secret, which an earlier version kept as it was, or as a mask."""
    return key.partition(".")[0] != "search_space" and any(map(is_secret_name, key.split(".")))


def _refuse_another_direction(settings: StudySettings, study: optuna.Study) -> None:
    """Optuna fixes a study's directions when it is made: even an empty one cannot be turned round."""
    wanted = ", ".join(settings.objective.directions)
    stored = ", ".join(direction.name.lower() for direction in study.directions)
    if stored != wanted:
        key = "objective.direction" if len(settings.objective.directions) == len(study.directions) == 1 else "objective"
        raise StudyChanged([Problem(key, f"is {wanted} but {stored} in the stored study", REMEDY)])


_ABSENT = object()


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"


def _flat(values: Any, *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, prefix=f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, values


def _renamed(settings: StudySettings, taken: set[str]) -> StudySettings:
    number = next(n for n in range(2, len(taken) + 3) if f"{settings.study_name}-{n}" not in taken)
    name = f"{settings.study_name}-{number}"
    folder = settings.output_dir
    own = folder.name == settings.study_name
    folder = folder.with_name(name) if own else folder / name
    template = OmegaConf.merge(settings.template, {"study_name": name, "output_dir": str(folder)})
    assert isinstance(template, DictConfig)
    return replace(settings, study_name=name, output_dir=folder, template=template)
