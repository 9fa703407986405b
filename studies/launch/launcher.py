"""Chooses the launcher that the config names. Several launchers, one contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from optuna.storages import BaseStorage

from studies.errors import Problem
from studies.launch.local.launcher.device_slots import available_cores, places
from studies.launch.resolve_once import resolved_here
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals


class Launcher(Protocol):
    """Where workers run. `logs` is the folder below which this run's workers write their logs."""

    logs: Path

    def preflight(self) -> list[Problem]:
        """Problems that show only when the model is built and sees a first batch."""

    def places(self) -> Sequence[object]:
        """Where the workers run, in words."""

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes. Raises `StudyError` where a worker ends in one.

        `on_tick` is called now and then; it returns how many trials have been begun.
        """


def make_launcher(
    settings: StudySettings, storage: BaseStorage, *, signals: StopSignals, tell: Callable[[str], None]
) -> Launcher:
    """The launcher of a study; `tell` shows a person what becomes of the workers."""
    settings = resolved_here(settings)
    if settings.launcher.name == "serial":
        from studies.launch.serial import SerialLauncher

        return SerialLauncher(settings, storage, signals=signals, tell=tell)
    if settings.launcher.name == "slurm":
        from studies.launch.slurm.launcher import SlurmLauncher

        return SlurmLauncher(settings, signals=signals, tell=tell)
    if settings.launcher.name == "ray":
        from studies.launch.ray.launcher import RayLauncher

        return RayLauncher(settings, signals=signals, tell=tell)
    from studies.launch.local.launcher import LocalLauncher

    return LocalLauncher(settings, signals=signals, tell=tell)


def launcher_problems(settings: StudySettings) -> list[Problem]:
    """What this machine lacks for the launcher of a study."""
    if settings.launcher.name == "slurm":
        from studies.launch.slurm.jobs import slurm_problems

        return slurm_problems()
    if settings.launcher.name == "ray":
        from studies.launch.ray.cluster import ray_problems

        return ray_problems()
    return []


def count_workers(settings: StudySettings, *, gpus: list[str]) -> int:
    """How many workers the study would have; `gpus` are those of this machine."""
    if settings.launcher.name == "slurm":
        from studies.launch.slurm.launcher import n_tasks

        return n_tasks(settings)
    if settings.launcher.name == "ray":
        from studies.launch.ray.cluster import n_actors

        return n_actors(settings)
    return 1 if settings.launcher.name == "serial" else len(places(settings, n_cores=available_cores(), gpus=gpus))
