"""What each launcher of a study is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studies.config.settings import StudySettings
from studies.process.signals import StopSignals


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """The study to launch, and the command that launches it."""

    settings: StudySettings
    signals: StopSignals  # that the command has received
    tell: Callable[[str], None]  # takes messages about workers
