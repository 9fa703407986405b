"""The outcome of a trial, and the function that runs one. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies.config.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended."""

    state: TrialState
    value: float | None = None  # of a complete trial
    attributes: dict[str, Any] = field(default_factory=dict)  # to keep with the trial
    device_is_lost: bool = False  # nothing more can run in this process
    has_checkpoint: bool = False  # this trial, the one it repeats, or a callback has saved some; not all may be needed
    second: float | None = None  # value of a second objective
    taints: bool = False  # it has changed the process in a way that may change later trials

    @property
    def values(self) -> list[float] | None:
        """Return the value of each objective for the study, None where there is none."""
        if self.value is None:
            return None
        return [self.value] if self.second is None else [self.value, self.second]


class RunTrial(Protocol):
    """Trains one trial. Errors of the storage come through, all others become its outcome."""

    def __call__(
        self,
        trial: BaseTrial,
        settings: StudySettings,
        *,
        seed: int,
        interrupted: Callable[[], str | None],
        repeated: FrozenTrial | None,
    ) -> Outcome:
        """Train the point of `trial` under `seed`. `interrupted` names the reason to stop, if there is one.

        `repeated` is the trial whose point this one tries again, None for a first try.
        """
