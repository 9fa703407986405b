"""Makes a study and its description, once, whoever else makes it at the same moment.

Context: two commands may begin one study with different configs. Choice: whoever creates the study describes it, for
its name is unique. Every other command waits for the fingerprint, which is written last, and is refused by it. Where
the creator has died, another command takes its place. Cost: the storage cannot choose among several of those, so each
looks again whether its own words stand.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from typing import Any

import optuna
import yaml
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage

from studies import schema
from studies.config.settings import POINTS, ObjectiveSettings, StudySettings
from studies.errors import StudyError
from studies.storage.identity import (
    fingerprint,
    identity,
    public_config,
    public_space,
    refuse_changes,
    search_of,
)
from studies.storage.lease import is_dead, worker_id
from studies.storage.patience import wait

PACKAGES = ("lightning-studies", "optuna", "torch", "pytorch-lightning", "hydra-core", "numpy")
CREATOR_S = 20.0  # for a creator of whom nothing is known
POLL_S = 0.2
SETTLE_S = 1.0  # until others that describe the study as well have written


def open_study(settings: StudySettings, storage: BaseStorage, *, pause: Callable[[float], bool] = wait) -> optuna.Study:
    """Return the study of `settings`, begun where there was none, with its attributes up to date.

    Raises `StudyChanged` where another command has begun it with another config. `pause` waits, and says whether to
    give up.
    """
    try:
        study = optuna.create_study(
            study_name=settings.study_name, storage=storage, directions=settings.objective.directions
        )
        is_ours = _describe(settings, study)
    except DuplicatedStudyError:
        is_ours = False
    if not is_ours:
        study = _join(settings, storage, pause)
    if study.user_attrs.get(schema.STUDY_N_TRIALS) != settings.n_trials:
        study.set_user_attr(schema.STUDY_N_TRIALS, settings.n_trials)
    return study


def _join(settings: StudySettings, storage: BaseStorage, pause: Callable[[float], bool]) -> optuna.Study:
    """Return a study that was there, once it is described as `settings` would."""
    try:
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
    except KeyError:
        raise StudyError(
            f"study {settings.study_name} was deleted at this moment: run the same command again"
        ) from None
    _wait_for_description(study, pause)
    if _is_forlorn(study):
        _take_over(settings, study, pause)
    refuse_changes(settings, study, taken={other.study_name for other in storage.get_all_studies()})
    return study


def _wait_for_description(study: optuna.Study, pause: Callable[[float], bool]) -> None:
    """Wait for the fingerprint, or until it is known or likely that nobody will write it."""
    deadline = time.monotonic() + CREATOR_S
    while schema.STUDY_FINGERPRINT not in study.user_attrs and time.monotonic() < deadline:
        if is_dead(str(study.user_attrs.get(schema.STUDY_CREATOR, ""))) or pause(POLL_S):
            return


def _is_forlorn(study: optuna.Study) -> bool:
    """Return whether a study has no trials, and no command that is known to make some."""
    creator = study.user_attrs.get(schema.STUDY_CREATOR)
    is_described = schema.STUDY_FINGERPRINT in study.user_attrs
    is_another = creator is not None and creator != worker_id() and not is_dead(str(creator))
    return not (is_another and is_described) and not study.get_trials(deepcopy=False)


def _take_over(settings: StudySettings, study: optuna.Study, pause: Callable[[float], bool]) -> None:
    """Describe the study in place of a creator that has died. Of several that do so, the last one to write stays."""
    if _is_by_us(study):
        is_described = _describe(settings, study)
    else:
        pause(random.uniform(0.0, SETTLE_S))
        is_described = _is_forlorn(study) and _describe(settings, study)
        if is_described:
            pause(SETTLE_S)  # of attributes that two have written, all shall be of one
            is_described = _is_by_us(study) and _describe(settings, study)
    if not is_described:
        _wait_for_description(study, pause)


def _is_by_us(study: optuna.Study) -> bool:
    return bool(study.user_attrs.get(schema.STUDY_CREATOR) == worker_id())


def _describe(settings: StudySettings, study: optuna.Study) -> bool:
    """Write the study's attributes, the fingerprint last: where it stands, the others do. Return whether all of them
    were written: not where another command has taken the study over, since this one was held up for so long.
    """
    objective, budget = settings.objective, settings.budget
    values = identity(settings)
    attributes = {
        schema.STUDY_SCHEMA: schema.VERSION,
        schema.STUDY_CONFIG: yaml.safe_dump(public_config(settings), sort_keys=False),
        schema.STUDY_SPACE: yaml.safe_dump(public_space(settings), sort_keys=False),
        schema.STUDY_METRIC: _describe_objective(objective),
        schema.STUDY_BUDGET: {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        schema.STUDY_N_TRIALS: settings.n_trials,
        schema.STUDY_SEARCH: search_of(settings),
        schema.STUDY_VERSIONS: {name: _version(name) for name in PACKAGES},
        schema.STUDY_GIT: _git_commit(),
        **({schema.STUDY_SELECT: settings.sampler.options["round"]} if settings.sampler.name == POINTS else {}),
        **({schema.STUDY_HYPOTHESIS: asdict(settings.hypothesis)} if settings.hypothesis is not None else {}),
        schema.STUDY_IDENTITY: json.dumps(values, default=str),
        schema.STUDY_FINGERPRINT: fingerprint(values),
    }
    study.set_user_attr(schema.STUDY_CREATOR, worker_id())
    if objective.second is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([objective.metric, objective.second.metric])  # which the dashboard shows
    for key, value in attributes.items():
        if not _is_by_us(study):
            return False
        study.set_user_attr(key, value)
    return _is_by_us(study)


def _describe_objective(objective: ObjectiveSettings) -> dict[str, Any]:
    first = {"name": objective.metric, "direction": objective.direction, "value": objective.value}
    second = objective.second
    return first if second is None else {**first, "second": {"name": second.metric, "direction": second.direction}}


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
