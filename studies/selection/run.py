"""Runs a selection: round after round, until the storage holds its conclusion or something ends the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from studies.config.settings import StudySettings
    from studies.process.signals import StopSignals
    from studies.selection.steps import Selection

POLL_S = 0.5
RunRound = Callable[["StudySettings"], bool]  # runs a study as far as it gets; whether it may go on afterwards


def select(
    study: Study,
    settings: StudySettings,
    storage: BaseStorage,
    *,
    run: RunRound,
    signals: StopSignals,
    console: Console,
) -> None:
    """Run what the selection lacks, if the search has come to its end."""
    from studies.selection.rounds import describe_round
    from studies.selection.steps import Selection, next_step, reader
    from studies.text.wording import counted

    trials = _settled(study, settings, storage, signals)
    if trials is None:
        return
    step = next_step(settings, trials, reader(storage))
    if step is None:
        console.print("select: no trial of the search was completed, so there is nothing to select from")
    while step is not None and not isinstance(step, Selection):
        console.print(f"{describe_round(step)} ({counted(step.n_trials, 'training', 'trainings')})")
        if not run(step):
            return
        step = next_step(settings, trials, reader(storage))


def selection_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Selection | None:
    """What the selection after a search with these `trials` came to; None where it has not come to its end."""
    from studies.selection.steps import Selection, next_step, reader

    if settings.select.name == "none" or not _is_over(trials, settings):
        return None
    step = next_step(settings, trials, reader(storage))
    return step if isinstance(step, Selection) else None


def _is_over(trials: Sequence[FrozenTrial], settings: StudySettings) -> bool:
    """Whether the search has come to its end: by its budget, or by an earlier end, with nothing running any more."""
    from optuna.trial import TrialState

    from studies.storage.slots import rules_of

    if rules_of(settings).are_all_finished(trials):
        return True
    return _begins_no_more(trials, settings) and not any(trial.state == TrialState.RUNNING for trial in trials)


def _begins_no_more(trials: Sequence[FrozenTrial], settings: StudySettings) -> bool:
    """Whether `stop_at` or `device_seconds` keep further trials of the search from beginning."""
    from studies.storage.device_time import are_devices_spent
    from studies.worker import has_reached

    return has_reached(trials, settings) or are_devices_spent(trials, settings)


def _settled(
    study: Study, settings: StudySettings, storage: BaseStorage, signals: StopSignals
) -> Sequence[FrozenTrial] | None:
    """The trials of a search that has come to its end, and None where it has not.

    Where it ended early, trials that still run elsewhere are waited for: all commands must find the same candidates.
    """
    from studies.storage.lease import Watch

    watch = Watch(storage, lease_s=settings.storage.lease_s)
    while signals.reason() is None:
        trials = study.get_trials(deepcopy=False)
        if _is_over(trials, settings):
            return trials
        if not _begins_no_more(trials, settings):
            return None
        watch.release_stale(study, trials)
        signals.wait(POLL_S)
    return None
