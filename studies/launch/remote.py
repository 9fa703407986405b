"""What follows from workers on other machines: a storage they can reach, secrets that stay out of files."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from studies.errors import Problems, StudyError
from studies.settings import StudySettings
from studies.storage.address import NoAddress, holds_secret, read_address

ELSEWHERE = ("slurm", "ray")
OF_ONE_MACHINE = ("sqlite", "journal")  # shared memory beside the file; locks that rarely cross a network
GPU = ("gpu", "cuda")  # names of Lightning's accelerator


def runs_elsewhere(settings: StudySettings) -> bool:
    """Whether the workers may run on other machines than the command."""
    return settings.launcher.name in ELSEWHERE


def writes_jobs(settings: StudySettings) -> bool:
    """Return whether the settings are written into files, of which workers read them."""
    return settings.launcher.name == "slurm"


def on_any_accelerator(settings: StudySettings) -> StudySettings:
    """`settings` for trying batches here: with the accelerator that this machine has, where the workers' may differ."""
    if not runs_elsewhere(settings):
        return settings
    template = OmegaConf.merge(settings.template, {"trainer": {"accelerator": "auto"}})
    assert isinstance(template, DictConfig)
    return replace(settings, template=template)


def lies_in_a_file(address: str) -> bool:
    """Whether the storage at `address` is a file, which the processes of one machine alone can share."""
    try:
        return read_address(address).kind in OF_ONE_MACHINE
    except NoAddress:
        return False  # told by whoever opens it


def storage_notes(settings: StudySettings) -> list[str]:
    """What a person should know of the storage before workers elsewhere use it."""
    if not lies_in_a_file(settings.storage.address):
        return []
    return [
        f"note: the storage is a file, which the processes of {platform.node()} alone can share; a worker on another "
        "machine ends the study with an error. storage=postgresql serves many machines"
    ]


def refuse_file_of_another_machine(settings: StudySettings, *, home: str) -> None:
    """Raise `StudyError` where this machine is not `home`, the command's, and the storage is a file."""
    if platform.node() != home and lies_in_a_file(settings.storage.address):
        raise StudyError(
            f"a worker on {platform.node()} cannot safely share the storage, a file that {home} has open: "
            "set storage=postgresql (or mysql), which serve several machines"
        )


def refuse_missing_address(settings: StudySettings) -> None:
    """Raise `StudyError` where the storage's environment variable did not come with the worker."""
    variable = settings.storage.url_env
    if settings.storage.url is None and not os.environ.get(variable or ""):
        raise StudyError(
            f"storage.url_env is {variable}, which is not set on {platform.node()}: "
            "let the job take the environment along, or export it in launcher.setup"
        )


def check_password_stays_out_of_files(settings: StudySettings, problems: Problems) -> None:
    """Note a URL with a password that would be written into a job's file."""
    if settings.storage.url is not None and holds_secret(settings.storage.url):
        complaint = "holds a password, which would be written into the jobs' files"
        remedy = "export the URL in an environment variable and name that: storage.url=null storage.url_env=NAME"
        problems.add("storage.url", complaint, remedy)


def check_gpus_are_asked_for(settings: StudySettings, problems: Problems, *, option: str, gpus: float) -> None:
    """Note a trainer that wants a GPU in a worker whose `option` asks the cluster for none."""
    accelerator = settings.trainer.get("accelerator")
    if accelerator in GPU and not gpus:
        remedy = f"give {settings.launcher.options.get('devices_per_trial', 1)}: a worker sees what it asked for only"
        problems.add(f"launcher.{option}", f"is 0 but trainer.accelerator is {accelerator}", remedy)


def enter(folder: Path) -> None:
    """Work in `folder`, the command's own, so that relative paths mean the same. Raises `StudyError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise StudyError(
            f"a worker on {platform.node()} cannot work in {folder} ({error.strerror}): "
            "start the command in a folder that every machine has"
        ) from error
