"""The session of a study in `studies.run`, which all its steps share, and the outcomes of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from rich.console import Console

from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.slots import rules_of
from studies.storage.stopping import stopping_of


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
    """A study, or a round of its selection, and the objects that all steps of the command share."""

    settings: StudySettings
    console: Console
    signals: StopSignals
    clock: CommandClock
    storage: BaseStorage

    @property
    def is_out_of_time(self) -> bool:
        """Whether the command has run for `timeout_s`."""
        return self.clock.is_over(self.settings.timeout_s)

    @property
    def outcome(self) -> RunOutcome | None:
        """Why the command has to end, whatever is left of the study. None where it may go on."""
        if self.signals.reason() is not None:
            return RunOutcome.INTERRUPTED
        return RunOutcome.OUT_OF_TIME if self.is_out_of_time else None

    def end_of(self, trials: Sequence[FrozenTrial]) -> RunOutcome | None:
        """Return why a study with these `trials` begins no more of them. None where it may go on."""
        stopping = stopping_of(self.settings)
        if stopping.has_reached(trials):
            return RunOutcome.TARGET_REACHED
        if rules_of(self.settings).are_all_finished(trials):
            return RunOutcome.FINISHED
        return RunOutcome.DEVICES_SPENT if stopping.device_time.is_spent(trials) else None
