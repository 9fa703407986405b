"""The session that all steps of `studies.run` share, and the outcomes of a step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from optuna.storages import BaseStorage
from rich.console import Console

from studies.process.deadline import Deadline
from studies.process.signals import StopSignals


class RunOutcome(Enum):
    """Why no more trials begin."""

    FINISHED = auto()  # the budget is spent
    TARGET_REACHED = auto()  # a trial is as good as `stop_at`
    DEVICES_SPENT = auto()  # the study has used its `device_seconds`
    OUT_OF_TIME = auto()  # the command has run for `timeout_s`
    INTERRUPTED = auto()  # a signal came


class CommandClock:
    """When the first search of a command began. Its time limit holds for all parts and rounds together."""

    def __init__(self, begun: datetime | None = None) -> None:
        self._begun = begun

    def start(self, timeout_s: float | None) -> Deadline:
        """Return until when trials may begin. The first call starts the clock."""
        self._begun = self._begun or datetime.now(UTC)
        return Deadline.of(self._begun, timeout_s)

    def is_over(self, timeout_s: float | None) -> bool:
        """Return whether the time is up."""
        return self._begun is not None and Deadline.of(self._begun, timeout_s).is_over


@dataclass(frozen=True, slots=True)
class Session:
    """The objects that all steps of a command share."""

    console: Console
    signals: StopSignals
    clock: CommandClock
    storage: BaseStorage

    def outcome(self, timeout_s: float | None) -> RunOutcome | None:
        """Return why the command has to end, whatever is left of the study. None where it may go on."""
        if self.signals.reason() is not None:
            return RunOutcome.INTERRUPTED
        return RunOutcome.OUT_OF_TIME if self.clock.is_over(timeout_s) else None
