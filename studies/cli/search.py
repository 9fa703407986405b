"""The search of one study by this command: the first batch, the workers, and what is left to do after them."""

from __future__ import annotations

from optuna import Study

from studies.cli.progress import Progress
from studies.cli.sentences.run import loading, plan_lines, result_lines, unspent
from studies.cli.session import RunOutcome, Session
from studies.errors import BadInput, StudyStopped
from studies.launch.context import LaunchContext
from studies.launch.launcher import Launcher, make_launcher
from studies.schema import INTERRUPTED
from studies.storage.checkpoints import checkpoints_of
from studies.storage.compatible import Compatible
from studies.storage.creation import open_study
from studies.storage.gone import deletion_told
from studies.storage.importing import bring_in, told
from studies.storage.lease import Watch
from studies.storage.slots import rules_of
from studies.storage.stopping import stopping_of


def search(session: Session, *, imports: Compatible | None = None) -> tuple[Study, RunOutcome]:
    """Run workers until the study is finished, its time is up, or a signal comes. Return the study and the reason.

    A round of a selection runs in the same way. `imports` are brought in first. Raises `BadInput` for problems of the
    first batch, `StudyStopped` where the workers leave before the budget is spent.
    """
    settings = session.settings
    if settings.round is None:
        session.console.print(loading(settings.study_name))
    session.signals.install()
    launcher = _tried_launcher(session)
    study = open_study(settings, session.storage, pause=session.signals.wait)
    with deletion_told(session.storage, settings.study_name):
        _bring_in(imports, study, session)
        _run_workers(study, launcher, session)
        trials = study.get_trials(deepcopy=False)
        outcome = session.outcome or session.end_of(trials)
        if outcome is None:
            raise StudyStopped(unspent(rules_of(settings).n_finished(trials), settings.n_trials))
        for line in result_lines(trials, session):
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
    for line in plan_lines(settings, slots=launcher.describe(), logs=launcher.logs):
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
