"""How a trial ends, and what runs one: the words that a worker and its objective share. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies.config.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended: its Optuna state, its value where it is COMPLETE (and `second`, that of a second objective),
    and the attributes to keep.

    After `device_is_lost` nothing more can run in this process. `taints`: it has changed the process in a way that may
    change later trials. `has_checkpoint`: it, or the trial that it repeats,
    has saved its state, or a checkpoint callback has; some of these files may be of no more use.
    """

    state: TrialState
    value: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    device_is_lost: bool = False
    has_checkpoint: bool = False
    second: float | None = None
    taints: bool = False

    @property
    def values(self) -> list[float] | None:
        """What the study is told: the value of each objective; None where there is none."""
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
        """Train the point of `trial` under `seed`; `interrupted` names the reason to stop, if there is one.

        `repeated` is the trial whose point this one tries again, None for a first try.
        """
