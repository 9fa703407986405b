"""Chooses the launcher that the config names. Several launchers, one contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from optuna.storages import BaseStorage

from studies.errors import Problem
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals


class Launcher(Protocol):
    """Where workers run."""

    def preflight(self) -> list[Problem]:
        """Problems that show only when the model is built and sees a first batch."""

    def places(self) -> Sequence[object]:
        """Where the workers run, in words."""

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes. Raises `StudyError` where a worker ends in one.

        `on_tick` is called now and then; it returns how many trials have been begun.
        """


def make_launcher(settings: StudySettings, storage: BaseStorage, *, signals: StopSignals) -> Launcher:
    """The launcher of a study."""
    if settings.launcher.name == "serial":
        from studies.launch.serial import SerialLauncher

        return SerialLauncher(settings, storage, signals=signals)
    from studies.launch.local import LocalLauncher

    return LocalLauncher(settings, signals=signals)
