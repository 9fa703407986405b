"""`python -m studies.run +study=NAME`: search, select, report. The same command again continues an unfinished study."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.cli.command import INTERRUPTED_EXIT_CODE, command

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from studies.config.settings import StudySettings
    from studies.launch.launcher import Launcher
    from studies.process.shift import Shift
    from studies.process.signals import StopSignals
    from studies.storage.compatible import Compatible


def run(config: DictConfig) -> int:
    """Run the study that `config` describes to its end; 0 when it is finished, 130 when a signal ended it."""
    import optuna
    from optuna.exceptions import StorageInternalError

    from studies.cli.console import make_console
    from studies.errors import StorageUnusable
    from studies.process.signals import StopSignals

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console()
    signals = StopSignals()
    try:
        return _run_parts(config, console, signals)
    except (StorageInternalError, StorageUnusable):
        if signals.reason() is None:
            raise
        console.print(
            f"interrupted ({signals.reason()}) while the storage was away: its leases will free the running trials; "
            "the same command goes on"
        )
        return INTERRUPTED_EXIT_CODE


def _run_parts(config: DictConfig, console: Console, signals: StopSignals) -> int:
    """Run the one study of `config`, or those that a hypothesis is made of, and say what these conclude."""
    from studies.cli.experiment import conclude_experiment, each_part, is_finished

    begun = None  # of the first search: a time limit holds for all parts together
    for part in each_part(config):
        if part.name:
            console.print(f"part {part.name}:")
        code, begun = _run(part.config, console, signals, begun=begun)
        if code:
            return code
        if part.name and not is_finished(part):
            console.print(f"part {part.name} is not finished, so the others wait: the same command goes on")
            return 0
    conclude_experiment(config, console)
    return 0


def _run(
    config: DictConfig, console: Console, signals: StopSignals, *, begun: datetime | None
) -> tuple[int, datetime | None]:
    """Run one study, in a run of the command whose first search began at `begun`: the exit code, and when that was."""
    from studies.cli.validation import validate_and_open
    from studies.errors import StudyStopped
    from studies.process.shift import Shift
    from studies.records.stored import refuse_earlier_schema
    from studies.selection.rounds import announcement
    from studies.selection.run import selection_of
    from studies.storage.creation import open_study
    from studies.storage.gone import deletion_told
    from studies.storage.identity import changed_search, find_study, moved_data, search_of
    from studies.storage.importing import find_imports, ignored
    from studies.storage.slots import rules_of
    from studies.storage.stopping import stopping_of
    from studies.text.printable import described
    from studies.text.quoting import pasted

    settings, storage = validate_and_open(config, pause=signals.wait)
    asked_for = settings.study_name
    study, settings = find_study(settings, storage)
    if study is not None:
        refuse_earlier_schema(study)
    if settings.study_name != asked_for:
        named = pasted("study_name", settings.study_name)
        console.print(f"forked: continue this study with {named}, without resume=fork")
    imports = find_imports(settings, storage, study)
    notes = []
    if study is not None:
        notes = [ignored(settings.import_from, study), moved_data(settings.template, study)]
        notes.append(changed_search(search_of(settings.sampler, settings.pruner), study))
    for note in filter(None, notes):
        console.print(note, markup=False)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    if settings.select.name != "none" and selection_of(settings, trials, storage) is None:
        console.print(announcement(settings))
    shift = Shift.of(begun, settings.timeout_s) if begun is not None else None
    interrupted, rules, stopping = False, rules_of(settings), stopping_of(settings)
    try:
        if study is not None and stopping.has_reached(trials):
            console.print(f"study {settings.study_name} has reached stop_at={settings.stop_at:g}; stop_at=null goes on")
        elif study is not None and stopping.device_time.is_spent(trials) and not rules.are_all_finished(trials):
            console.print(f"study {settings.study_name}: {_device_time(trials, settings)}")
        elif study is not None and rules.are_all_finished(trials):
            console.print(f"study {settings.study_name} is finished; more trials: n_trials=N, a new study: resume=fork")
        else:
            study, shift, interrupted = search(
                settings, storage, console, signals=signals, shift=shift, imports=imports
            )
        with deletion_told(storage, settings.study_name):
            leave_tidy(study, settings, storage, reason=signals.reason())
            if settings.select.name != "none" and not interrupted:
                shift, interrupted = _select(study, settings, storage, console, signals=signals, shift=shift)
    except StudyStopped:
        try:
            study = open_study(settings, storage) if study is None else study
            leave_tidy(study, settings, storage, reason=None)
            _report(study, settings, storage, console, signals)
        except Exception as error:  # noqa: BLE001 - why the study has stopped is what counts
            console.print(f"the report could not be written ({described(error)})", markup=False)
        raise
    with deletion_told(storage, settings.study_name):
        _report(study, settings, storage, console, signals)
    return INTERRUPTED_EXIT_CODE if interrupted else 0, shift.begun if shift is not None else None


def _select(
    study: Study,
    settings: StudySettings,
    storage: BaseStorage,
    console: Console,
    *,
    signals: StopSignals,
    shift: Shift | None,
) -> tuple[Shift | None, bool]:
    """Run the rounds of the selection in what is left of the `shift`; that shift, and whether a signal came."""
    from studies.errors import StudyStopped
    from studies.selection.run import select
    from studies.storage.creation import open_study
    from studies.storage.gone import deletion_told

    def run(settings: StudySettings) -> bool:
        nonlocal shift
        if shift is not None and shift.is_over:
            console.print("the time is up: the same command goes on with the selection")
            return False
        try:
            found, shift, interrupted = search(settings, storage, console, signals=signals, shift=shift)
        except StudyStopped:
            leave_tidy(open_study(settings, storage), settings, storage, reason=None)
            raise
        with deletion_told(storage, settings.study_name):  # the round, not the search
            leave_tidy(found, settings, storage, reason=signals.reason())
        return not interrupted

    select(study, settings, storage, run=run, signals=signals, console=console)
    return shift, signals.reason() is not None


def _report(
    study: Study, settings: StudySettings, storage: BaseStorage, console: Console, signals: StopSignals
) -> None:
    """Write the report; a signal ends it at once, since it can be written again."""
    from studies.cli.reports import report_study
    from studies.config.parsing.output_folder import refusals_told
    from studies.selection.run import selection_of

    selection = selection_of(settings, study.get_trials(deepcopy=False), storage)
    signals.hand_back()
    try:
        with refusals_told(settings.output_dir):
            report_study(study, settings, console=console, selection=selection)
    except (KeyboardInterrupt, SystemExit):
        console.print("interrupted: the report is not complete, and the same command writes it again")
        raise


def leave_tidy(study: Study, settings: StudySettings, storage: BaseStorage, *, reason: str | None) -> None:
    """Free the trials of this machine's dead workers, which nobody may look at again, and delete useless files.

    `reason`: the signal that ended the command; a worker that had to be killed could not free its trial itself.
    """
    from studies.schema import INTERRUPTED
    from studies.storage.checkpoints import checkpoints_of
    from studies.storage.lease import Watch

    message = f"{INTERRUPTED} ({reason})" if reason is not None else "its worker died"
    watch = Watch(storage, lease_s=settings.storage.lease_s)
    watch.release_dead(study, study.get_trials(deepcopy=False), message=message)
    checkpoints_of(settings).sweep(study.get_trials(deepcopy=False))


def search(
    settings: StudySettings,
    storage: BaseStorage,
    console: Console,
    *,
    signals: StopSignals,
    shift: Shift | None = None,
    imports: Compatible | None = None,
) -> tuple[Study, Shift, bool]:
    """Run workers until the study is finished, its time is up, or a signal comes: the study, this command's shift
    (`shift` where it has begun already), and whether a signal came. `imports` are brought in before. The rounds of a
    selection run in the same way."""
    from studies.errors import BadInput
    from studies.launch.launcher import make_launcher
    from studies.storage.creation import open_study
    from studies.storage.gone import deletion_told

    is_round = settings.round is not None
    if not is_round:
        console.print(f"study {settings.study_name}: loading torch and trying one batch …")
    signals.install()
    launcher = make_launcher(settings, storage, signals=signals, tell=lambda line: console.print(f"  {line}"))
    problems = launcher.preflight()
    if is_round:  # it tests what it can; a module without a test part is no mistake here
        problems = [problem for problem in problems if problem.key != "objective.test"]
    if problems:
        raise BadInput(problems)
    study = open_study(settings, storage, pause=signals.wait)
    with deletion_told(storage, settings.study_name):
        return _search(study, settings, storage, console, launcher, signals=signals, shift=shift, imports=imports)


def _search(
    study: Study,
    settings: StudySettings,
    storage: BaseStorage,
    console: Console,
    launcher: Launcher,
    *,
    signals: StopSignals,
    shift: Shift | None,
    imports: Compatible | None,
) -> tuple[Study, Shift, bool]:
    """Run the workers of a study that is there."""
    from studies.cli.progress import Progress
    from studies.process.shift import Shift
    from studies.records.objectives import objective_notes
    from studies.reporting.ending_notes import ending_notes
    from studies.reporting.goal import goal, goal_notes
    from studies.reporting.logger_notes import logger_notes
    from studies.search.pruners import pruner_notes
    from studies.search.samplers import sampler_notes
    from studies.storage.importing import bring_in, told
    from studies.storage.lease import Watch
    from studies.storage.slots import rules_of
    from studies.storage.stopping import stopping_of
    from studies.text.wording import counted

    if imports is not None and bring_in(imports, study, storage, lease_s=settings.storage.lease_s, pause=signals.wait):
        console.print(f"  {told(study)}")
    shift = shift or Shift.of(datetime.now(UTC), settings.timeout_s)
    if signals.reason() is None and settings.round is not None:
        console.print(f"  study {settings.study_name}; logs in {launcher.logs}")
    elif signals.reason() is None:
        n_trials = counted(settings.n_trials, "trial", "trials")
        console.print(
            f"{n_trials}, sampler {settings.sampler.name}, pruner {settings.pruner.name}; logs in {launcher.logs}"
        )
        console.print(f"  objective: {goal(settings.objective)}", markup=False)
        of_metrics = objective_notes((settings.objective.metric, settings.objective.logged_second))
        of_goal = (*goal_notes(settings.objective), *of_metrics)
        of_pruner = pruner_notes(settings.pruner, settings.objective, rungs=settings.budget.rungs)
        for line in (*launcher.describe(), *of_goal, *sampler_notes(settings), *of_pruner):
            console.print(f"  {line}")
    if signals.reason() is None:
        watch = Watch(storage, lease_s=settings.storage.lease_s)  # workers look only between their own trials
        with Progress(study, settings, rules_of(settings), console=console) as progress:

            def tick() -> int:
                begun = progress.tick()
                if signals.reason() is None:
                    watch.release_stale(study, progress.trials)
                return begun

            launcher.run(shift, on_tick=tick)
    _refuse_unspent(study, settings, shift, signals)
    if shift.is_over:
        console.print(f"the time is up (timeout_s={settings.timeout_s}): no more trials begin")
    trials, stopping = study.get_trials(deepcopy=False), stopping_of(settings)
    for note in (*logger_notes(trials), *ending_notes(trials, n_rungs=settings.budget.rungs)):
        console.print(f"note: {note}", markup=False)
    if stopping.device_time.is_spent(trials):
        console.print(_device_time(trials, settings))
    if stopping.has_reached(trials):
        console.print(f"{_reached(trials, settings)}: no more trials begin")
    if signals.reason() is not None:
        console.print(f"interrupted ({signals.reason()}): the same command goes on with the study")
    return study, shift, signals.reason() is not None


def _refuse_unspent(study: Study, settings: StudySettings, shift: Shift, signals: StopSignals) -> None:
    """Raise `StudyStopped` where the workers have left and nothing told them to stop before the budget was spent."""
    from studies.errors import StudyStopped
    from studies.storage.slots import rules_of
    from studies.storage.stopping import stopping_of

    trials, rules = study.get_trials(deepcopy=False), rules_of(settings)
    is_meant = signals.reason() is not None or shift.is_over
    if is_meant or stopping_of(settings).applies(trials):
        return
    if not rules.are_all_finished(trials):
        raise StudyStopped(
            f"no worker is left and {rules.n_finished(trials)} of {settings.n_trials} trials are finished: "
            "run the same command again to go on"
        )


def _reached(trials: Sequence[FrozenTrial], settings: StudySettings) -> str:
    """Say that a trial has reached `stop_at`; and where all have, which side of it counts as good."""
    from optuna.trial import TrialState

    from studies.storage.stopping import stopping_of

    stopping, found = stopping_of(settings), f"a trial has reached stop_at={settings.stop_at:g}"
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not all(stopping.has_reached([trial]) for trial in complete):
        return found
    direction = settings.objective.direction
    return f"{found}, and so has each complete trial (is that what you mean by objective.direction={direction}?)"


def _device_time(trials: Sequence[FrozenTrial], settings: StudySettings) -> str:
    """What has been used of the device time; what ran when it was spent came to its end."""
    from studies.cli.progress import duration
    from studies.storage.device_time import device_time_of

    used = duration(device_time_of(settings).used(trials))
    limit = f"device_seconds={settings.device_seconds:g}"
    meant = "each trial from its claim to its end, more than its training (column device_seconds of trials.csv)"
    return f"{used} of device time are used ({limit}); a higher value goes on. Counted is {meant}"


main = command(run)

if __name__ == "__main__":
    main()
