"""The run of one study by this command: the first batch, the workers, and what is left to do after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from studies.cli.progress import Progress
from studies.cli.session import RunOutcome, Session
from studies.config.settings import Direction, StudySettings
from studies.errors import BadInput, StudyStopped
from studies.launch.context import LaunchContext
from studies.launch.launcher import Launcher, make_launcher
from studies.records.objectives import objective_notes
from studies.reporting.ending_notes import ending_notes, logger_notes
from studies.reporting.goal import goal, goal_notes
from studies.schema import INTERRUPTED
from studies.search.exploration import exploration_of
from studies.search.pruners import pruner_notes
from studies.search.samplers import sampler_notes
from studies.storage.checkpoints import checkpoints_of
from studies.storage.compatible import Compatible
from studies.storage.creation import open_study
from studies.storage.gone import deletion_told
from studies.storage.importing import bring_in, told
from studies.storage.lease import Watch
from studies.storage.slots import rules_of
from studies.storage.stopping import DeviceTime, StoppingRule, stopping_of
from studies.text.wording import counted, duration


def search(session: Session, *, imports: Compatible | None = None) -> tuple[Study, RunOutcome]:
    """Run workers until the study is finished, its time is up, or a signal comes. Return the study and the reason.

    A round of a selection runs in the same way. `imports` are brought in first. Raises `BadInput` for problems of the
    first batch, `StudyStopped` where the workers leave before the budget is spent.
    """
    settings = session.settings
    if settings.round is None:
        session.console.print(f"study {settings.study_name}: loading torch and trying one batch …")
    session.signals.install()
    launcher = _tried_launcher(session)
    study = open_study(settings, session.storage, pause=session.signals.wait)
    with deletion_told(session.storage, settings.study_name):
        _bring_in(imports, study, session)
        _run_workers(study, launcher, session)
        trials = study.get_trials(deepcopy=False)
        outcome = session.outcome or session.end_of(trials)
        if outcome is None:
            done = f"{rules_of(settings).n_finished(trials)} of {settings.n_trials} trials are finished"
            raise StudyStopped(f"no worker is left and {done}: run the same command again to go on")
        for line in _result_lines(trials, session):
            session.console.print(line)
    return study, outcome


def tidy(study: Study, session: Session) -> None:
    """Free the trials of this machine's dead workers, for nobody may look at them again, and delete useless files.

    A worker that was killed after a signal could not free its trial itself.
    """
    signal = session.signals.reason()
    message = f"{INTERRUPTED} ({signal})" if signal is not None else "its worker died"
    watch = Watch(session.storage, lease_s=session.settings.storage.lease_s)
    watch.release_dead(study, study.get_trials(deepcopy=False), message=message)
    checkpoints_of(session.settings).sweep(study.get_trials(deepcopy=False))


def _tried_launcher(session: Session) -> Launcher:
    """Return the launcher after a first batch. Raises `BadInput` with the problems of that batch."""
    console, settings = session.console, session.settings
    context = LaunchContext(settings, session.signals, tell=lambda line: console.print(f"  {line}"))
    launcher = make_launcher(context, session.storage)
    problems = launcher.preflight()
    if settings.round is not None:  # a round tests what it can, and a module without a test part is no mistake
        problems = [problem for problem in problems if problem.key != "objective.test"]
    if problems:
        raise BadInput(problems)
    return launcher


def _bring_in(imports: Compatible | None, study: Study, session: Session) -> None:
    """Bring the trials of another study in, and say which."""
    lease_s, pause = session.settings.storage.lease_s, session.signals.wait
    if imports is not None and bring_in(imports, study, session.storage, lease_s=lease_s, pause=pause):
        session.console.print(f"  {told(study)}")


def _run_workers(study: Study, launcher: Launcher, session: Session) -> None:
    """Start the clock, say what is planned, and run workers until they leave. Do nothing after a signal."""
    settings = session.settings
    deadline = session.clock.start(settings.timeout_s)
    if session.signals.reason() is not None:
        return
    for line in _plan_lines(settings, slots=launcher.describe(), logs=launcher.logs):
        session.console.print(line)
    watch = Watch(session.storage, lease_s=settings.storage.lease_s)  # workers look only between their own trials
    device_time = stopping_of(settings).device_time
    with Progress(study, rules_of(settings), device_time, console=session.console) as progress:

        def tick() -> int:
            begun = progress.tick()
            if session.signals.reason() is None:
                watch.release_stale(study, progress.trials)
            return begun

        launcher.run(deadline, on_tick=tick)


def _plan_lines(settings: StudySettings, *, slots: Sequence[object], logs: Path) -> Iterator[str]:
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


def _result_lines(trials: Sequence[FrozenTrial], session: Session) -> Iterator[str]:
    """Yield how a search ended: what is odd about its trials, and each reason why no more begin."""
    settings, signal = session.settings, session.signals.reason()
    if session.is_out_of_time:
        yield f"the time is up (timeout_s={settings.timeout_s}): no more trials begin"
    for note in (*logger_notes(trials), *ending_notes(trials, n_rungs=settings.budget.rungs)):
        yield f"note: {note}"
    stopping = stopping_of(settings)
    if stopping.device_time.is_spent(trials):
        yield device_time_spent(trials, stopping.device_time)
    if stopping.has_reached(trials):
        yield f"{_reached(trials, stopping, settings.objective.direction)}: no more trials begin"
    if signal is not None:
        yield f"interrupted ({signal}): the same command goes on with the study"


def device_time_spent(trials: Sequence[FrozenTrial], device_time: DeviceTime) -> str:
    """Return how much device time is used, how it is counted, and how to go on."""
    used = duration(device_time.used(trials))
    limit = f"device_seconds={device_time.limit_s:g}"
    meant = "each trial from its claim to its end, more than its training (column device_seconds of trials.csv)"
    return f"{used} of device time are used ({limit}). A higher value goes on. Counted is {meant}"


def _reached(trials: Sequence[FrozenTrial], stopping: StoppingRule, direction: Direction) -> str:
    """Return that a trial has reached `stop_at`. Where all have, ask whether the direction is right."""
    found = f"a trial has reached stop_at={stopping.stop_at:g}"
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not all(stopping.has_reached([trial]) for trial in complete):
        return found
    return f"{found}, and so has each complete trial (is that what you mean by objective.direction={direction}?)"
