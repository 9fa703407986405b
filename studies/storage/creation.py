"""Create a study and its description, once, even where several commands do so at the same moment.

Context: two commands may begin one study with different configs. Choice: whoever creates the study describes it, for
its name is unique. Every other command waits until the creator says that its description is whole, and compares it.
Where the creator has died, another command takes its place. Cost: the storage cannot choose among several such
commands. So each writes its name, waits until the others have written theirs, and the last one describes the study.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import optuna
import yaml
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage

from studies import schema
from studies.config.settings import Direction, ObjectiveSettings, StudySettings
from studies.errors import StudyError
from studies.records.shapes import json_of
from studies.storage.identity import describe_space, fingerprint, identity, public_config, refuse_changes, search_of
from studies.storage.lease import is_dead, worker_id
from studies.storage.patience import Pause, wait

PACKAGES = ("lightning-studies", "optuna", "torch", "pytorch-lightning", "hydra-core", "numpy")
CREATOR_S = 20.0  # for a creator of which nothing is known
POLL_S = 0.2
SPREAD_S = 1.0  # over which commands that take over the same study begin
SETTLE_S = 4.0  # until others that take it over as well have written their names, on a machine that is busy


@dataclass(frozen=True, slots=True)
class Description:
    """What a study is and records of itself."""

    study_name: str
    directions: tuple[Direction, ...]
    metrics: tuple[str, ...]  # of two objectives: their names, which the dashboard shows
    is_designed: bool
    identity: Mapping[str, Any]
    attributes: Mapping[str, Any]  # the study's attributes that follow from its settings


def open_study(settings: StudySettings, storage: BaseStorage, *, pause: Pause = wait) -> optuna.Study:
    """Return the study of `settings`, created where there was none, with its attributes up to date.

    Raises `StudyChanged` where another command has begun it with another config.
    """
    description = _description_of(settings)
    try:
        study = optuna.create_study(
            study_name=description.study_name, storage=storage, directions=description.directions
        )
        study.set_user_attr(schema.STUDY_CREATOR, worker_id())
        is_ours = _describe(description, study)
    except DuplicatedStudyError:
        is_ours = False
    if not is_ours:
        study = _join(description, storage, pause)
    if study.user_attrs.get(schema.STUDY_N_TRIALS) != settings.n_trials:
        study.set_user_attr(schema.STUDY_N_TRIALS, settings.n_trials)
    if settings.is_designed:
        _keep_replicates(settings.replicates, study)
    return study


def _keep_replicates(replicates: int, study: optuna.Study) -> None:
    """Write down that a grid goes on with more replicates, so that no later command takes them back."""
    stored = json_of(study.user_attrs[schema.STUDY_IDENTITY])
    if replicates > stored.get("replicates", replicates):
        grown = {**stored, "replicates": replicates}
        study.set_user_attr(schema.STUDY_IDENTITY, json.dumps(grown))
        study.set_user_attr(schema.STUDY_FINGERPRINT, fingerprint(grown))


def _description_of(settings: StudySettings) -> Description:
    objective, budget = settings.objective, settings.budget
    space = describe_space(settings.space, with_levels=settings.is_designed)
    attributes = {
        schema.STUDY_SCHEMA: schema.VERSION,
        schema.STUDY_CONFIG: yaml.safe_dump(public_config(settings.template), sort_keys=False),
        schema.STUDY_SPACE: yaml.safe_dump(space, sort_keys=False),
        schema.STUDY_METRIC: _describe_objective(objective),
        schema.STUDY_BUDGET: {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        schema.STUDY_N_TRIALS: settings.n_trials,
        schema.STUDY_SEARCH: search_of(settings.sampler, settings.pruner),
        **({schema.STUDY_SELECT: settings.round.recorded.stored()} if settings.round is not None else {}),
        **({schema.STUDY_HYPOTHESIS: asdict(settings.hypothesis)} if settings.hypothesis is not None else {}),
        schema.STUDY_VERSIONS: {name: _version(name) for name in PACKAGES},
        schema.STUDY_GIT: _git_commit(),
    }
    return Description(
        study_name=settings.study_name,
        directions=objective.directions,
        metrics=() if objective.second is None else (objective.metric, objective.second.metric),
        is_designed=settings.is_designed,
        identity=identity(settings),
        attributes=attributes,
    )


def _join(description: Description, storage: BaseStorage, pause: Pause) -> optuna.Study:
    """Return the stored study, once it is described in the same way."""
    name = description.study_name
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise StudyError(f"study {name} was deleted at this moment: run the same command again") from None
    _wait_for_description(study, pause)
    if _is_forlorn(study):
        _take_over(description, study, pause)
    taken = {other.study_name for other in storage.get_all_studies()}
    refuse_changes(description.identity, study, taken=taken, is_designed=description.is_designed)
    return study


def _wait_for_description(study: optuna.Study, pause: Pause) -> None:
    """Wait for the whole description, until it is clear that nobody will write it."""
    deadline = time.monotonic() + CREATOR_S
    while not _is_described(study) and time.monotonic() < deadline:
        if is_dead(str(study.user_attrs.get(schema.STUDY_CREATOR, ""))) or pause(POLL_S):
            return


def _is_described(study: optuna.Study) -> bool:
    """Return whether the description is whole and of the creator. Earlier versions did not say whose it is."""
    attributes = study.user_attrs
    creator = attributes.get(schema.STUDY_CREATOR)
    return schema.STUDY_FINGERPRINT in attributes and attributes.get(schema.STUDY_DESCRIBER, creator) == creator


def _is_forlorn(study: optuna.Study) -> bool:
    """Return whether a study has no trials, and no living creator that has described it."""
    creator = study.user_attrs.get(schema.STUDY_CREATOR)
    is_another = creator is not None and creator != worker_id() and not is_dead(str(creator))
    return not (is_another and _is_described(study)) and not study.get_trials(deepcopy=False)


def _take_over(description: Description, study: optuna.Study, pause: Pause) -> None:
    """Describe the study in place of a dead creator. Of several that do so, the last one to write its name does."""
    if not _is_by_us(study):
        pause(random.uniform(0.0, SPREAD_S))
        if _is_forlorn(study):
            study.set_user_attr(schema.STUDY_CREATOR, worker_id())
            pause(SETTLE_S)
    if not (_is_by_us(study) and _describe(description, study)):
        _wait_for_description(study, pause)


def _is_by_us(study: optuna.Study) -> bool:
    return bool(study.user_attrs.get(schema.STUDY_CREATOR) == worker_id())


def _describe(description: Description, study: optuna.Study) -> bool:
    """Write the study's attributes, and last of all who has written them. Return whether all were written.

    Another command takes over a study if its creator was held up for too long. So nothing is written once the creator
    is another, or once there are trials: these began under the description of another, which stands.
    """
    attributes = {
        **description.attributes,
        schema.STUDY_IDENTITY: json.dumps(description.identity, default=str),
        schema.STUDY_FINGERPRINT: fingerprint(description.identity),
        schema.STUDY_DESCRIBER: worker_id(),
    }
    if study.get_trials(deepcopy=False):
        study.set_user_attr(schema.STUDY_CREATOR, study.user_attrs.get(schema.STUDY_DESCRIBER, ""))
        return False
    if description.metrics:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(description.metrics))
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
    """Return the commit of the working directory's repository, or None outside one."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
