"""Run a selection: round after round, until the storage holds its conclusion or something ends the command.

And tell what a study has still to train, its selection included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from studies.config.settings import StudySettings
from studies.process.signals import StopSignals
from studies.selection.rounds import describe_round, most_trainings
from studies.selection.steps import Selection, next_step, reader
from studies.storage.lease import Watch
from studies.storage.slots import Rules, rules_of
from studies.storage.stopping import StoppingRule, stopping_of
from studies.text.wording import counted

POLL_S = 0.5
RunRound = Callable[[StudySettings], bool]  # runs a study as far as it gets; returns whether to go on afterwards


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a study has still to train."""

    trials: int  # of the search
    trainings: int  # of the selection, at most

    @property
    def is_nothing(self) -> bool:
        """Whether the study is finished."""
        return not self.trials and not self.trainings


def select(
    study: Study,
    settings: StudySettings,
    storage: BaseStorage,
    *,
    run: RunRound,
    signals: StopSignals,
    console: Console,
) -> None:
    """Run what the selection lacks, if the search is finished."""
    watch = Watch(storage, lease_s=settings.storage.lease_s)
    trials = _settled(study, rules_of(settings), stopping_of(settings), watch, signals)
    if trials is None:
        return
    step = next_step(settings, trials, reader(storage))
    if step is None:
        console.print("select: no trial of the search was completed, so there is nothing to select from")
    while step is not None and not isinstance(step, Selection):
        assert step.round is not None
        console.print(f"{describe_round(step.round)} ({counted(step.n_trials, 'training', 'trainings')})")
        if not run(step):
            return
        step = next_step(settings, trials, reader(storage))


def selection_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Selection | None:
    """Return the result of the selection after a search with these `trials`. None while it is not finished."""
    if settings.select.name == "none" or not _is_over(trials, rules_of(settings), stopping_of(settings)):
        return None
    step = next_step(settings, trials, reader(storage))
    return step if isinstance(step, Selection) else None


def remaining_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Remaining:
    """Return what the study of these `trials` has still to train."""
    if selection_of(settings, trials, storage) is not None:
        return Remaining(0, 0)
    n_trainings = most_trainings(settings.select, settings.space, is_designed=settings.is_designed)
    return Remaining(settings.n_trials - rules_of(settings).n_finished(trials), n_trainings)


def _is_over(trials: Sequence[FrozenTrial], rules: Rules, stopping: StoppingRule) -> bool:
    """Return whether the search is over, by its budget or early, and nothing runs any more."""
    if rules.are_all_finished(trials):
        return True
    return stopping.applies(trials) and not any(trial.state == TrialState.RUNNING for trial in trials)


def _settled(
    study: Study, rules: Rules, stopping: StoppingRule, watch: Watch, signals: StopSignals
) -> Sequence[FrozenTrial] | None:
    """Return the trials of a search that is over, else None.

    After an early end, wait for trials that still run elsewhere: all commands must find the same candidates.
    """
    while signals.reason() is None:
        trials = study.get_trials(deepcopy=False)
        if _is_over(trials, rules, stopping):
            return trials
        if not stopping.applies(trials):
            return None
        watch.release_stale(study, trials)
        signals.wait(POLL_S)
    return None
