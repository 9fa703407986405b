"""What `studies.run` says, apart from its live table and its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from studies.cli.progress import duration
from studies.cli.session import RunOutcome, Session
from studies.config.settings import Direction, StudySettings
from studies.records.objectives import objective_notes
from studies.reporting.ending_notes import ending_notes
from studies.reporting.goal import goal, goal_notes
from studies.reporting.logger_notes import logger_notes
from studies.search.exploration import exploration_of
from studies.search.pruners import pruner_notes
from studies.search.samplers import sampler_notes
from studies.storage.identity import changed_search, moved_data, search_of
from studies.storage.importing import ignored
from studies.storage.stopping import DeviceTime, StoppingRule, stopping_of
from studies.text.quoting import pasted
from studies.text.wording import counted

PART_UNFINISHED = "is not finished, so the others wait: the same command goes on"
SELECTION_WAITS = "the time is up: the same command goes on with the selection"
NO_REPORT = "interrupted: the report is not complete, and the same command writes it again"


def storage_was_away(reason: str) -> str:
    """Return how to go on after a signal while the storage was away."""
    return (
        f"interrupted ({reason}) while the storage was away: its leases will free the running trials, and the same "
        "command goes on"
    )


def forked(study_name: str) -> str:
    """Return how to continue a study that was forked."""
    return f"forked: continue this study with {pasted('study_name', study_name)}, without resume=fork"


def resume_notes(study: Study, settings: StudySettings) -> Iterator[str]:
    """Yield what differs from the beginning of a stored `study`."""
    searched = search_of(settings.sampler, settings.pruner)
    notes = (
        ignored(settings.import_from, study),
        moved_data(settings.template, study),
        changed_search(searched, study),
    )
    yield from filter(None, notes)


def ended_before(outcome: RunOutcome, trials: Sequence[FrozenTrial], session: Session) -> str:
    """Return why a stored study is not searched any further, and how to search on."""
    settings = session.settings
    study = f"study {settings.study_name}"
    if outcome is RunOutcome.TARGET_REACHED:
        return f"{study} has reached stop_at={settings.stop_at:g} (stop_at=null goes on)"
    if outcome is RunOutcome.DEVICES_SPENT:
        return f"{study}: {_device_time(trials, stopping_of(settings).device_time)}"
    return f"{study} is finished (more trials: n_trials=N, a new study: resume=fork)"


def loading(study_name: str) -> str:
    """Return what the command does before its first trial."""
    return f"study {study_name}: loading torch and trying one batch …"


def plan_lines(settings: StudySettings, *, slots: Sequence[object], logs: Path) -> Iterator[str]:
    """Yield what is about to run: budget, sampler, objective, device `slots`, and the folder of the `logs`."""
    if settings.round is not None:
        yield f"  study {settings.study_name}; logs in {logs}"
        return
    objective = settings.objective
    n_trials = counted(settings.n_trials, "trial", "trials")
    yield f"{n_trials}, sampler {settings.sampler.name}, pruner {settings.pruner.name}; logs in {logs}"
    yield f"  objective: {goal(objective)}"
    of_metrics = objective_notes((objective.metric, objective.logged_second))
    of_exploration = exploration_of(settings).notes(settings.sampler.name, n_trials=settings.n_trials)
    of_sampler = sampler_notes(settings.sampler.name, settings.pruner.name, settings.space)
    of_pruner = pruner_notes(settings.pruner, objective, rungs=settings.budget.rungs)
    for line in (*slots, *goal_notes(objective), *of_metrics, *of_exploration, *of_sampler, *of_pruner):
        yield f"  {line}"


def result_lines(trials: Sequence[FrozenTrial], session: Session) -> Iterator[str]:
    """Yield how a search ended: what is odd about its trials, and each reason why no more begin."""
    settings, signal = session.settings, session.signals.reason()
    if session.is_out_of_time:
        yield f"the time is up (timeout_s={settings.timeout_s}): no more trials begin"
    for note in (*logger_notes(trials), *ending_notes(trials, n_rungs=settings.budget.rungs)):
        yield f"note: {note}"
    stopping = stopping_of(settings)
    if stopping.device_time.is_spent(trials):
        yield _device_time(trials, stopping.device_time)
    if stopping.has_reached(trials):
        yield f"{_reached(trials, stopping, settings.objective.direction)}: no more trials begin"
    if signal is not None:
        yield f"interrupted ({signal}): the same command goes on with the study"


def unspent(n_finished: int, n_trials: int) -> str:
    """Return what to do after all workers left before the budget was spent."""
    return f"no worker is left and {n_finished} of {n_trials} trials are finished: run the same command again to go on"


def _reached(trials: Sequence[FrozenTrial], stopping: StoppingRule, direction: Direction) -> str:
    """Return that a trial has reached `stop_at`. Where all have, ask whether the direction is right."""
    found = f"a trial has reached stop_at={stopping.stop_at:g}"
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not all(stopping.has_reached([trial]) for trial in complete):
        return found
    return f"{found}, and so has each complete trial (is that what you mean by objective.direction={direction}?)"


def _device_time(trials: Sequence[FrozenTrial], device_time: DeviceTime) -> str:
    """Return how much device time is used, how it is counted, and how to go on."""
    used = duration(device_time.used(trials))
    limit = f"device_seconds={device_time.limit_s:g}"
    meant = "each trial from its claim to its end, more than its training (column device_seconds of trials.csv)"
    return f"{used} of device time are used ({limit}). A higher value goes on. Counted is {meant}"
