"""The contract of all launchers, the choice of one by the config, and the check of its options.

Only the chosen launcher is imported: `serial` loads torch, `slurm` and `ray` need an optional extra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from omegaconf import ListConfig
from optuna.storages import BaseStorage

from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem, Problems
from studies.launch.context import LaunchContext
from studies.launch.local.device_slots import available_cores, device_slots
from studies.launch.local.launcher import LocalLauncher
from studies.launch.local.options import check_local, device_request
from studies.launch.ray.options import check_ray, parse_ray, ray_problems
from studies.launch.resolve_once import resolve_once
from studies.launch.slurm.options import check_slurm, slurm_problems
from studies.process.deadline import Deadline


class Launcher(Protocol):
    """Starts the workers of a study. Their logs lie below the folder `logs`."""

    logs: Path

    def preflight(self) -> list[Problem]:
        """Build the model, try a first batch, and return the problems."""

    def describe(self) -> Sequence[str]:
        """Return lines that say where the workers run. Call `preflight` first."""

    def run(self, deadline: Deadline, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes. Raises the `StudyError` of a worker.

        `on_tick` is called now and then, and returns how many trials have begun.
        """


def make_launcher(context: LaunchContext, storage: BaseStorage) -> Launcher:
    """Return the launcher of a study. Raises `BadInput` if this machine lacks what the launcher needs."""
    name = context.settings.launcher.name
    lacking = launcher_problems(name)
    if lacking:
        raise BadInput(lacking)
    settings = replace(context.settings, template=resolve_once(context.settings))
    context = replace(context, settings=settings)
    if name == "serial":
        from studies.launch.serial import SerialLauncher

        return SerialLauncher(context, storage)
    if name == "slurm":
        from studies.launch.slurm.launcher import SlurmLauncher

        return SlurmLauncher(context)
    if name == "ray":
        from studies.launch.ray.launcher import RayLauncher

        return RayLauncher(context)
    return LocalLauncher(context)


def check_launcher(settings: StudySettings, problems: Problems) -> None:
    """Add unknown options, wrong values, and options that exclude each other to `problems`."""
    launcher, trainer = settings.launcher, settings.trainer
    devices = trainer.get("devices", 1)
    if launcher.name != "serial" and isinstance(devices, ListConfig) and len(devices) == 1 and devices[0] != 0:
        remedy = "give 1: each worker sees its own devices only"
        remedy += "; export CUDA_VISIBLE_DEVICES to choose among them" if launcher.name == "local" else ""
        problems.add("trainer.devices", f"is {devices!r} but launcher is {launcher.name}", remedy)
    if launcher.name == "slurm":
        check_slurm(launcher.options, problems, workers=settings.workers, trainer=trainer, url=settings.storage.url)
    elif launcher.name == "ray":
        check_ray(launcher.options, problems, trainer=trainer)
    else:
        check_local(launcher, problems)


def launcher_problems(name: str) -> list[Problem]:
    """Return what this machine lacks for the launcher of this name."""
    return {"slurm": slurm_problems, "ray": ray_problems}.get(name, list)()


def count_workers(settings: StudySettings, *, gpus: list[str]) -> int:
    """Return how many workers the study would have. `gpus` are those of this machine."""
    if settings.launcher.name == "serial":
        return 1
    if settings.launcher.name == "local":
        return len(device_slots(device_request(settings), n_cores=available_cores(), gpus=gpus))
    workers = settings.workers or 1
    if settings.launcher.name == "ray" and settings.workers is None:
        from studies.launch.ray.cluster import room_of_cluster

        workers = room_of_cluster(parse_ray(settings.launcher.options, Problems()))
    return max(1, min(workers, settings.n_trials))
