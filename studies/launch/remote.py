"""Rules for workers on other machines: a storage that they can reach, and secrets that stay out of files."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import StorageSettings
from studies.errors import Problems, StudyError
from studies.storage.address import NoAddress, holds_secret, read_address

REMOTE = ("slurm", "ray")  # launchers whose workers may run on other machines than the command
OF_ONE_MACHINE = ("sqlite", "journal")  # they share memory beside the file, or locks that rarely cross a network
GPU = ("gpu", "cuda")  # names of Lightning's accelerator


def on_any_accelerator(template: DictConfig, *, launcher: str) -> DictConfig:
    """Return `template` for trying batches on this machine. Workers elsewhere may have another accelerator."""
    if launcher not in REMOTE:
        return template
    merged = OmegaConf.merge(template, {"trainer": {"accelerator": "auto"}})
    assert isinstance(merged, DictConfig)
    return merged


def is_file(address: str) -> bool:
    """Return whether the storage at `address` is a file, which only one machine's processes can share."""
    try:
        return read_address(address).kind in OF_ONE_MACHINE
    except NoAddress:
        return False  # reported when the storage is opened


def storage_notes(address: str) -> list[str]:
    """Return a note if the storage at `address` cannot serve workers on other machines."""
    if not is_file(address):
        return []
    return [
        f"note: the storage is a file, so only the processes of {platform.node()} can share it. A worker on another "
        "machine ends the study with an error. storage=postgresql serves many machines"
    ]


def refuse_file_of_another_machine(address: str, *, home: str) -> None:
    """Raise `StudyError` if the storage is a file and this machine is not `home`, the command's."""
    if platform.node() != home and is_file(address):
        raise StudyError(
            f"a worker on {platform.node()} cannot safely share the storage, a file that {home} has open: "
            "set storage=postgresql (or mysql), which serve several machines"
        )


def refuse_missing_address(storage: StorageSettings) -> None:
    """Raise `StudyError` if the environment variable with the storage's URL is not set on this machine."""
    if storage.url is None and not os.environ.get(storage.url_env or ""):
        raise StudyError(
            f"storage.url_env is {storage.url_env}, which is not set on {platform.node()}: "
            "let the job take the environment along, or export it in launcher.setup"
        )


def check_password_stays_out_of_files(url: str | None, problems: Problems) -> None:
    """Add a problem if the storage's `url` holds a password, as it would be written into a job's file."""
    if url is not None and holds_secret(url):
        complaint = "holds a password, which would be written into the jobs' files"
        remedy = "export the URL in an environment variable and name that: storage.url=null storage.url_env=NAME"
        problems.add("storage.url", complaint, remedy)


def check_gpus_are_asked_for(
    trainer: Mapping[Any, Any], problems: Problems, *, option: str, gpus: float, devices_per_trial: int
) -> None:
    """Add a problem if `trainer` wants a GPU but the launcher's `option` asks the cluster for none."""
    accelerator = trainer.get("accelerator")
    if accelerator in GPU and not gpus:
        remedy = f"give {devices_per_trial}: a worker sees what it asked for only"
        problems.add(f"launcher.{option}", f"is 0 but trainer.accelerator is {accelerator}", remedy)


def enter(folder: Path) -> None:
    """Change into the command's working `folder`, so that relative paths mean the same. Raises `StudyError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise StudyError(
            f"a worker on {platform.node()} cannot work in {folder} ({error.strerror}): "
            "start the command in a folder that every machine has"
        ) from error


def describe_worker(number: int, where: str, *, threads: int) -> str:
    """Return the place of a worker of a cluster, with the devices that this process sees."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ""
    device = f"GPU {gpus}" if gpus and gpus != "NoDevFiles" else "CPU"
    return f"worker {number}: {where}, {device}, {threads} thread{'s' if threads != 1 else ''}"
