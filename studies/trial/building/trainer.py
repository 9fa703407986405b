"""A Lightning Trainer that asks between batches whether to stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from studies.trial.building.package import Package

BetweenBatches = Callable[[Any, bool], bool]


def _as_asked(_trainer: Any, stopping: bool) -> bool:
    return stopping


@cache
def trainer_class(package: Package) -> Any:
    """Return the Trainer of `package` with a hook between two batches, where one is done and the next has not begun.

    `between_batches(trainer, stopping) -> bool` is called there, also after each epoch and between the batches of a
    validation. `stopping` says that Lightning itself was told to stop (SIGTERM). If it returns True, `fit` raises
    Lightning's SIGTERMException. The class keeps Lightning's name, which finds PL_TRAINER_… in the environment by it.
    """
    base: Any = package.trainer

    class Trainer(base):  # type: ignore[misc]  # one of two classes, known only now
        between_batches: BetweenBatches = staticmethod(_as_asked)

        @property
        def received_sigterm(self) -> bool:
            """Return whether to stop here. Lightning has no hook at this point, only this question."""
            return self.between_batches(self, super().received_sigterm)

    return Trainer
