"""When a study begins no more trials although slots are left: `stop_at` is reached, or its device time is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from studies.config.settings import StudySettings
from studies.storage.device_time import DeviceTime


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
