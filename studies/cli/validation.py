"""Validates a config, or lists everything that is wrong with it.

`_target_problems` imports late what loads torch: only a wrong config needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.storages import BaseStorage

from studies.config.composing.configs import group_options
from studies.config.parsing.output_folder import short
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.settings import parse_settings
from studies.config.parsing.soundness import refuse_unsound
from studies.config.parsing.storage import parse_storage
from studies.config.settings import TEMPLATE_KEYS, StorageSettings, StudySettings
from studies.errors import BadInput, Problem, Problems
from studies.hypotheses.parts import check_hypothesis
from studies.launch.launcher import check_launcher
from studies.search.checks import check_search
from studies.storage.opening import open_existing, open_storage, open_to_read
from studies.storage.patience import Patience, wait
from studies.trial.checkpoints.files import TRIALS, symlink_target

GROUPS = ("model", "datamodule", "trainer", "callbacks", "loggers")  # mappings; other values are reported elsewhere
FOLDERS = ("logs", "figures", "select", TRIALS)  # of an output folder


CHECKS = (check_search, check_launcher, check_hypothesis)


def validate_and_open(
    config: DictConfig, *, pause: Callable[[float], bool] = wait, to_read: bool = False
) -> tuple[StudySettings, BaseStorage]:
    """Return the settings of `config` and its opened storage. Raises `BadInput` with every problem of both.

    `pause` waits while the storage is away later on, and returns whether to give up. `to_read` needs an existing
    storage and writes nothing to it. If the settings are wrong, the targets of the config are checked too, so that one
    message has all problems.
    """
    need_study(config)
    refuse_unsound(config)
    problems: list[Problem] = []
    settings = None
    try:
        settings = parse_settings(config, checks=CHECKS)
        make_folder(settings.output_dir)
    except BadInput as error:
        problems += error.problems
    storage: BaseStorage | None = None
    try:
        place = storage_of(config)
        opened = open_to_read if to_read else open_storage
        storage = opened(place.address, patience=Patience(place.patience_s, pause))
    except BadInput as error:
        problems += error.problems
    if settings is None or storage is None or problems:
        raise BadInput(list(dict.fromkeys([*problems, *_target_problems(config)])))
    return settings, storage


def need_study(config: DictConfig) -> None:
    """Raise `BadInput` with the shipped studies if none is named."""
    if OmegaConf.is_missing(config, "study_name"):
        known = ", ".join(group_options("study"))
        remedy = f"name one as the first word ({known}), or give the path of your own study file"
        raise BadInput([Problem("study", "is not named", remedy)])


def refuse_bad_name(config: DictConfig) -> None:
    """Raise `BadInput` for a bad study name, in commands that only read stored studies."""
    problems = Problems()
    if not OmegaConf.is_missing(config, "study_name"):
        ConfigSection({"study_name": config.study_name}, prefix="", problems=problems).name("study_name")
    problems.raise_if_any()


def make_folder(folder: Path) -> None:
    """Create the output folder if it is missing. Raises `BadInput`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        complaint = f"is {short(str(folder))}, which cannot be made ({error.strerror})"
        raise BadInput([Problem("output_dir", complaint, "name a folder you can write to")]) from None
    taken = next((folder / name for name in FOLDERS if (folder / name).is_file()), None)
    if taken is not None:
        complaint = f"is {short(str(folder))}, where {taken.name} is a file instead of a folder"
        raise BadInput([Problem("output_dir", complaint, "move the file away, or give another folder")])
    for name in FOLDERS:  # files of our naming are deleted there
        real = symlink_target(folder / name, output_dir=folder)
        if real is not None:
            complaint = f"is {short(str(folder))}, whose folder {name} leads to {real} by a symbolic link"
            raise BadInput([Problem("output_dir", complaint, "remove the link (the output folder itself may be one)")])


def existing_storage(config: DictConfig) -> BaseStorage:
    """Return the opened storage of `config`. Raises `BadInput` if there is none yet."""
    place = storage_of(config)
    return open_existing(place.address, patience=Patience(place.patience_s))


def storage_to_read(config: DictConfig) -> BaseStorage:
    """Return the storage of `config`, opened for reading only. Raises `BadInput` if there is none yet."""
    place = storage_of(config)
    return open_to_read(place.address, patience=Patience(place.patience_s))


def storage_of(config: DictConfig) -> StorageSettings:
    """Return the storage settings of `config`. Raises `BadInput` if they are wrong."""
    problems = Problems()
    try:
        section = section_of(config.storage, "storage", problems)
    except OmegaConfBaseException as error:
        complaint = f"cannot be resolved ({str(error).splitlines()[0]})"
        raise BadInput([Problem(error.full_key or "storage", complaint, "correct the interpolation")]) from None
    settings = parse_storage(section)
    problems.raise_if_any()
    return settings


def section_of(node: object, key: str, problems: Problems) -> ConfigSection:
    """Return the resolved section `key` of a config, for a parser that collects `problems`."""
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return ConfigSection(values, prefix=key, problems=problems)


def _target_problems(config: DictConfig) -> list[Problem]:
    """Return the problems of the config's targets, without any point."""
    from studies.trial.building.instantiate import binding_problems

    problems = Problems()
    try:
        template = OmegaConf.masked_copy(config, [key for key in TEMPLATE_KEYS if key in config])
        resolved = OmegaConf.to_container(template, resolve=True)
    except OmegaConfBaseException:
        return []
    assert isinstance(resolved, dict)
    groups = {str(key): value for key, value in resolved.items() if key not in GROUPS or isinstance(value, dict)}
    binding_problems(groups, problems)
    return problems.found
