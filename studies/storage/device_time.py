"""How much device time a study has used: the time for which its trials held their devices, whatever became of them.

Context: trials are uneven and some fail or are pruned, so a number of trials says little about what a study costs.
Choice: a trial holds its devices from its claim to its end, by the times that the storage keeps: while its module is
built and tested, a process imports what it needs and a checkpoint is written, too, so for more than the `seconds` of
its training. What still runs counts up to now, and like a trial whose worker died, which may be found out days later,
for no longer than its lease was moved on. So every worker, on whatever machine, sees the same, and a resumed study goes
on counting. Cost: the clock of a machine must not be set in the middle of a trial; slots that share a GPU count each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.schema import Failure, failure_of, is_imported, was_interrupted


def device_seconds(trials: Sequence[FrozenTrial], settings: StudySettings, *, now: datetime | None = None) -> float:
    """Seconds of device time of all `trials`: their wall clock times the devices of each. `now` is local time."""
    now = now or datetime.now()
    held = [_held_s(trial, now, beat_s=settings.storage.lease_s / 3) for trial in trials]
    return settings.devices_per_trial * sum(held)


def seconds_of_each(trials: Sequence[FrozenTrial], settings: StudySettings) -> dict[int, float]:
    """Number of a trial → its part of the device time."""
    return {trial.number: device_seconds([trial], settings) for trial in trials}


def are_devices_spent(trials: Sequence[FrozenTrial], settings: StudySettings) -> bool:
    """Whether `trials` have used the device time that the study may take."""
    return settings.device_seconds is not None and device_seconds(trials, settings) >= settings.device_seconds


def _is_free(trial: FrozenTrial) -> bool:
    """Whether `trial` trained nothing here: a surplus claim, or one that another study has paid for."""
    return schema.VOID in trial.user_attrs or is_imported(trial)


def _held_s(trial: FrozenTrial, now: datetime, *, beat_s: float) -> float:
    if trial.datetime_start is None or trial.state == TrialState.WAITING or _is_free(trial):
        return 0.0
    span = max(0.0, ((trial.datetime_complete or now) - trial.datetime_start).total_seconds())
    died = failure_of(trial) in (Failure.KILLED, Failure.FAILED) and not was_interrupted(trial)
    if trial.state == TrialState.RUNNING or died:
        return min(span, beat_s * (int(trial.user_attrs.get(schema.LEASE, 0)) + 1))
    return span
