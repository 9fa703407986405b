"""What a study has still to train, its selection included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from studies.config.settings import StudySettings
from studies.selection.rounds import most_trainings
from studies.selection.run import selection_of
from studies.storage.slots import rules_of


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a study has still to train."""

    trials: int  # of the search
    trainings: int  # of the selection, at most

    @property
    def is_nothing(self) -> bool:
        """Whether the study has come to its end."""
        return not self.trials and not self.trainings


def remaining_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Remaining:
    """Return what the study of these `trials` has still to train."""
    if selection_of(settings, trials, storage) is not None:
        return Remaining(0, 0)
    n_trainings = most_trainings(settings.select, settings.space, is_designed=settings.is_designed)
    return Remaining(settings.n_trials - rules_of(settings).n_finished(trials), n_trainings)
