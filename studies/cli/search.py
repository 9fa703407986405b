"""The search of one study by this command: the first batch, the workers, and what is left to do after them."""

from __future__ import annotations

from collections.abc import Sequence

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from studies.cli.progress import Progress
from studies.cli.sentences.run import loading, plan_lines, result_lines, unspent
from studies.cli.session import RunOutcome, Session
from studies.config.settings import StudySettings
from studies.errors import BadInput, StudyStopped
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


def search(settings: StudySettings, session: Session, *, imports: Compatible | None = None) -> tuple[Study, RunOutcome]:
    """Run workers until the study is finished, its time is up, or a signal comes. Return the study and the reason.

    A round of a selection runs in the same way. `imports` are brought in first. Raises `BadInput` for problems of the
    first batch, `StudyStopped` where the workers leave before the budget is spent.
    """
    if settings.round is None:
        session.console.print(loading(settings.study_name))
    session.signals.install()
    launcher = _tried_launcher(settings, session)
    study = open_study(settings, session.storage, pause=session.signals.wait)
    with deletion_told(session.storage, settings.study_name):
        _bring_in(imports, study, settings, session)
        _run_workers(study, settings, launcher, session)
        trials = study.get_trials(deepcopy=False)
        outcome = session.outcome(settings.timeout_s) or end_of(trials, settings)
        if outcome is None:
            raise StudyStopped(unspent(rules_of(settings).n_finished(trials), settings.n_trials))
        is_over = session.clock.is_over(settings.timeout_s)
        for line in result_lines(trials, settings, is_over=is_over, signal=session.signals.reason()):
            session.console.print(line)
    return study, outcome


def end_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> RunOutcome | None:
    """Return why a study with these `trials` begins no more of them. None where it may go on."""
    stopping = stopping_of(settings)
    if stopping.has_reached(trials):
        return RunOutcome.TARGET_REACHED
    if rules_of(settings).are_all_finished(trials):
        return RunOutcome.FINISHED
    return RunOutcome.DEVICES_SPENT if stopping.device_time.is_spent(trials) else None


def tidy(study: Study, settings: StudySettings, storage: BaseStorage, *, signal: str | None = None) -> None:
    """Free the trials of this machine's dead workers, for nobody may look at them again, and delete useless files.

    `signal` is the one that ended the command. A worker that was killed after it could not free its trial itself.
    """
    message = f"{INTERRUPTED} ({signal})" if signal is not None else "its worker died"
    watch = Watch(storage, lease_s=settings.storage.lease_s)
    watch.release_dead(study, study.get_trials(deepcopy=False), message=message)
    checkpoints_of(settings).sweep(study.get_trials(deepcopy=False))


def _tried_launcher(settings: StudySettings, session: Session) -> Launcher:
    """Return the launcher after a first batch. Raises `BadInput` with the problems of that batch."""
    console = session.console
    launcher = make_launcher(
        settings, session.storage, signals=session.signals, tell=lambda line: console.print(f"  {line}")
    )
    problems = launcher.preflight()
    if settings.round is not None:  # a round tests what it can, and a module without a test part is no mistake
        problems = [problem for problem in problems if problem.key != "objective.test"]
    if problems:
        raise BadInput(problems)
    return launcher


def _bring_in(imports: Compatible | None, study: Study, settings: StudySettings, session: Session) -> None:
    """Bring the trials of another study in, and say which."""
    lease_s, pause = settings.storage.lease_s, session.signals.wait
    if imports is not None and bring_in(imports, study, session.storage, lease_s=lease_s, pause=pause):
        session.console.print(f"  {told(study)}")


def _run_workers(study: Study, settings: StudySettings, launcher: Launcher, session: Session) -> None:
    """Start the clock, say what is planned, and run workers until they leave. Do nothing after a signal."""
    deadline = session.clock.start(settings.timeout_s)
    if session.signals.reason() is not None:
        return
    for line in plan_lines(settings, slots=launcher.describe(), logs=launcher.logs):
        session.console.print(line)
    watch = Watch(session.storage, lease_s=settings.storage.lease_s)  # workers look only between their own trials
    with Progress(study, settings, rules_of(settings), console=session.console) as progress:

        def tick() -> int:
            begun = progress.tick()
            if session.signals.reason() is None:
                watch.release_stale(study, progress.trials)
            return begun

        launcher.run(deadline, on_tick=tick)
