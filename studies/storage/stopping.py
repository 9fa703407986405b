"""When a study begins no more trials although slots are left: `stop_at` is reached, or its device time is spent.

The device time of a study is how long its trials held their devices, whatever became of them. Context: trials are
uneven, and some fail or are pruned, so their number says little about the cost of a study. Choice: a trial holds its
devices from its claim to its end, by the times in the storage. That includes imports, the building of the module, tests
and checkpoints, so it is more than the `seconds` of its training. A running trial counts up to now. A dead worker may
be found days later, so a running or killed trial counts no longer than its lease was moved on. Every worker computes
the same from the storage, and a resumed study goes on counting. Cost: the clock of a machine must not be set during a
trial. Slots that share a GPU count each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.schema import Failure, failure_of, is_imported, was_interrupted


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """How the device time of a study is counted, and how much it may use."""

    devices: int  # of each trial
    lease_s: float
    limit_s: float | None

    def used(self, trials: Sequence[FrozenTrial], *, now: datetime | None = None) -> float:
        """Return the device seconds of `trials`: their wall clock times the devices of each. `now` is local time."""
        now = now or datetime.now()
        return self.devices * sum(_held_s(trial, now, beat_s=self.lease_s / 3) for trial in trials)

    def of_each(self, trials: Sequence[FrozenTrial]) -> dict[int, float]:
        """Return the device seconds of each trial by its number."""
        return {trial.number: self.used([trial]) for trial in trials}

    def is_spent(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether `trials` have used all that the study may take."""
        return self.limit_s is not None and self.used(trials) >= self.limit_s


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """The early ends of a study. All workers read them off the storage."""

    stop_at: float | None  # a value of the first objective
    maximize: bool
    device_time: DeviceTime

    def applies(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether no further trial may begin after `trials`."""
        return self.has_reached(trials) or self.device_time.is_spent(trials)

    def has_reached(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether one of `trials` is as good as `stop_at` in the first objective."""
        if self.stop_at is None:
            return False
        sign = 1 if self.maximize else -1
        values = [trial.values[0] for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
        return any(sign * value >= sign * self.stop_at for value in values)


def stopping_of(settings: StudySettings) -> StoppingRule:
    """Return the early ends that `settings` ask for."""
    device_time = DeviceTime(settings.devices_per_trial, settings.storage.lease_s, settings.device_seconds)
    return StoppingRule(settings.stop_at, settings.objective.maximize, device_time)


def _held_s(trial: FrozenTrial, now: datetime, *, beat_s: float) -> float:
    is_free = schema.VOID in trial.user_attrs or is_imported(trial)  # it trained nothing here
    if trial.datetime_start is None or trial.state == TrialState.WAITING or is_free:
        return 0.0
    span = max(0.0, ((trial.datetime_complete or now) - trial.datetime_start).total_seconds())
    died = failure_of(trial) in (Failure.KILLED, Failure.FAILED) and not was_interrupted(trial)
    if trial.state == TrialState.RUNNING or died:
        return min(span, beat_s * (int(trial.user_attrs.get(schema.LEASE, 0)) + 1))
    return span
