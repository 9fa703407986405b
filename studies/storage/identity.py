"""A study's identity: what must stay the same for its trials to be comparable, kept with the study itself.

Space, fixed config, metric and budget belong to it. Where the study runs (accelerator, folders, loggers), how many
trials it makes, and its sampler and pruner do not: a study may be continued with more trials or another sampler.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from importlib import metadata
from typing import Any

import optuna
import yaml
from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage

from studies import schema
from studies.errors import Problem, StudyChanged, masked
from studies.parameter import Parameter
from studies.settings import FIXED_KEYS, POINTS, BeliefSettings, ObjectiveSettings, StudySettings
from studies.storage.changed import changes_in_words, command_to_go_on
from studies.storage.following import following
from studies.stored import trials_of

NOT_IDENTITY = re.compile(
    r"(loggers|trainer\.(accelerator|devices|enable_\w+|log_every_n_steps|num_sanity_val_steps)"
    r"|datamodule\.(data_dir|num_workers))(\..*)?"
)
SECRET = re.compile(r"passw|secret|(^|_)token$|api_?key|credential", re.IGNORECASE)
REMEDY = "choose another study_name, or resume=fork to begin anew beside it"
PACKAGES = ("lightning-studies", "optuna", "torch", "pytorch-lightning", "hydra-core", "numpy")


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
        _refuse_changes(settings, study, taken=names)
    _refuse_another_direction(settings, study)
    return study, settings


def open_study(settings: StudySettings, storage: BaseStorage) -> optuna.Study:
    """The study of `settings`, begun where `find_study` found none, with its attributes up to date."""
    study = optuna.create_study(
        study_name=settings.study_name, storage=storage, directions=settings.objective.directions, load_if_exists=True
    )
    if not study.get_trials(deepcopy=False):
        _describe_study(settings, study)
    elif study.user_attrs[schema.STUDY_N_TRIALS] != settings.n_trials:
        study.set_user_attr(schema.STUDY_N_TRIALS, settings.n_trials)
    return study


def identity(settings: StudySettings) -> dict[str, Any]:
    """The keys that make trials comparable, flat, with their values."""
    fixed = {key: value for key, value in fixed_config(settings).items() if key != "vars" or value}
    objective, budget = settings.objective, settings.budget
    values = {
        **dict(_flat(without_secrets(fixed))),
        **dict(_flat(without_secrets(describe_space(settings)), prefix="search_space")),
        **{f"interpolated.{key}": written for key, written in following(settings).items()},
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
    return {key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key)}


def compared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of flat keys that make trials comparable, with values as they are stored."""
    kept = {key: value for key, value in values.items() if not NOT_IDENTITY.fullmatch(key)}
    return dict(json.loads(json.dumps(kept, default=str)))


def fixed_config(settings: StudySettings) -> dict[str, Any]:
    """The resolved config of a trial without any point, as plain values."""
    resolved = OmegaConf.to_container(settings.template, resolve=True)
    assert isinstance(resolved, dict)
    return {key: resolved[key] for key in FIXED_KEYS if key in resolved}


def fingerprint(values: Mapping[str, Any]) -> str:
    """A short digest of an identity."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def describe_space(settings: StudySettings) -> dict[str, dict[str, Any]]:
    """The space as plain values, one entry a parameter. `levels` only where they make the grid."""
    return {parameter.name: _describe(parameter, with_levels=settings.is_designed) for parameter in settings.space}


def without_secrets(values: Any) -> Any:
    """A copy of plain config values in which whatever is named like a secret is masked, and passwords in URLs."""
    if isinstance(values, Mapping):
        return {key: "***" if SECRET.search(str(key)) else without_secrets(value) for key, value in values.items()}
    if isinstance(values, str):
        return masked(values)
    return [without_secrets(value) for value in values] if isinstance(values, list) else values


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


def _describe_study(settings: StudySettings, study: optuna.Study) -> None:
    """Write the study's attributes, the fingerprint last: where it stands, the others do."""
    objective, budget = settings.objective, settings.budget
    values = identity(settings)
    config = without_secrets(fixed_config(settings))
    attributes = {
        schema.STUDY_SCHEMA: schema.VERSION,
        schema.STUDY_CONFIG: yaml.safe_dump(config, sort_keys=False),
        schema.STUDY_SPACE: yaml.safe_dump(without_secrets(describe_space(settings)), sort_keys=False),
        schema.STUDY_METRIC: _describe_objective(objective),
        schema.STUDY_BUDGET: {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        schema.STUDY_N_TRIALS: settings.n_trials,
        schema.STUDY_SEARCH: _search(settings),
        schema.STUDY_VERSIONS: {name: _version(name) for name in PACKAGES},
        schema.STUDY_GIT: _git_commit(),
        **({schema.STUDY_SELECT: settings.sampler.options["round"]} if settings.sampler.name == POINTS else {}),
        **({schema.STUDY_BELIEF: asdict(settings.belief)} if settings.belief is not None else {}),
        schema.STUDY_IDENTITY: json.dumps(values, default=str),
        schema.STUDY_FINGERPRINT: fingerprint(values),
    }
    for key, value in attributes.items():
        study.set_user_attr(key, value)
    if objective.second is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([objective.metric, objective.second.metric])  # which the dashboard shows


def rule_of(study: optuna.Study) -> BeliefSettings | None:
    """The belief and its rule as they stood before the study's first trial; None where it had none."""
    recorded = study.user_attrs.get(schema.STUDY_BELIEF)
    return BeliefSettings(**recorded) if isinstance(recorded, Mapping) else None


def moved_data(settings: StudySettings, study: optuna.Study) -> str | None:
    """A note where the data lie elsewhere than when the study began; what lies there is not looked at."""
    began_with = yaml.safe_load(study.user_attrs.get(schema.STUDY_CONFIG, "")) or {}
    there, here = ((config.get("datamodule") or {}).get("data_dir") for config in (began_with, fixed_config(settings)))
    if there is None or here == there:
        return None
    return f"note: datamodule.data_dir is {here} and was {there} when the study began: it is taken for the same data"


def changed_search(settings: StudySettings, study: optuna.Study) -> str | None:
    """A note where another sampler or pruner is asked for than the study began with: what is stored stays."""
    began_with = study.user_attrs.get(schema.STUDY_SEARCH)
    if not isinstance(began_with, Mapping):
        return None
    now = _search(settings)
    changed = [f"{key} is {now[key]} and was {before}" for key, before in began_with.items() if before != now[key]]
    if not changed:
        return None
    return f"note: {', '.join(changed)} when the study began: trials that are stored stay as they are"


def _search(settings: StudySettings) -> dict[str, str]:
    return {"sampler": settings.sampler.name, "pruner": settings.pruner.name}


def _describe_objective(objective: ObjectiveSettings) -> dict[str, Any]:
    first = {"name": objective.metric, "direction": objective.direction, "value": objective.value}
    second = objective.second
    return first if second is None else {**first, "second": {"name": second.metric, "direction": second.direction}}


def _refuse_changes(settings: StudySettings, study: optuna.Study, *, taken: set[str]) -> None:
    if not schema.is_ours(study.user_attrs) or schema.STUDY_IDENTITY not in study.user_attrs:
        complaint = f"is {settings.study_name}, a study in the storage that this framework did not make"
        raise StudyChanged([Problem("study_name", complaint, REMEDY)])
    now = json.loads(json.dumps(identity(settings), default=str))
    before = json.loads(study.user_attrs[schema.STUDY_IDENTITY])
    changed = [key for key in sorted({*now, *before}) if now.get(key, _ABSENT) != before.get(key, _ABSENT)]
    if "budget.amount" in changed and now["budget.unit"] == before["budget.unit"] == "epochs":
        changed.remove("budget.rungs")  # each epoch is one
    if changed:
        problems = [
            Problem(key, f"is {_shown(now, key)} but {_shown(before, key)} in the stored study", REMEDY)
            for key in changed
        ]
        command = command_to_go_on(settings, problems, taken=taken)
        raise StudyChanged(problems, lines=list(changes_in_words(problems, now, before)), command=command)


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


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the working directory's repository, or None outside one."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
