"""`python -m studies.run +study=NAME`: search, then report. The same command again continues an unfinished study."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.command import INTERRUPTED_EXIT_CODE, command

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from rich.console import Console

    from studies.settings import StudySettings
    from studies.signals import StopSignals
    from studies.storage.compatible import Compatible


def run(config: DictConfig) -> int:
    """Run the study that `config` describes to its end; 0 when it is finished, 130 when a signal ended it."""
    import optuna
    from optuna.exceptions import StorageInternalError
    from rich.console import Console

    from studies.errors import StorageUnusable
    from studies.signals import StopSignals

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = Console(highlight=False, soft_wrap=True)
    signals = StopSignals()
    try:
        return _run(config, console, signals)
    except (StorageInternalError, StorageUnusable):
        if signals.reason() is None:
            raise
        console.print(
            f"interrupted ({signals.reason()}) while the storage was away: its leases will free the running trials; "
            "the same command goes on"
        )
        return INTERRUPTED_EXIT_CODE


def _run(config: DictConfig, console: Console, signals: StopSignals) -> int:
    from studies.admission import admit
    from studies.errors import StudyStopped
    from studies.report.report import write_report
    from studies.storage.identity import find_study, open_study
    from studies.storage.importing import find_imports, ignored
    from studies.storage.slots import rules_of
    from studies.worker import has_reached

    settings, storage = admit(config, pause=signals.wait)
    asked_for = settings.study_name
    study, settings = find_study(settings, storage)
    if settings.study_name != asked_for:
        console.print(f"forked: continue this study with study_name={settings.study_name}, without resume=fork")
    imports = find_imports(settings, storage, study)
    note = ignored(settings, study) if study is not None else None
    if note is not None:
        console.print(note)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    if study is not None and has_reached(trials, settings):
        console.print(f"study {settings.study_name} has reached stop_at={settings.stop_at:g}; stop_at=null goes on")
        interrupted = False
    elif study is not None and rules_of(settings).are_all_finished(trials):
        console.print(f"study {settings.study_name} is finished; more trials: n_trials=N, a new study: resume=fork")
        interrupted = False
    else:
        try:
            study, interrupted = search(settings, storage, console, signals=signals, imports=imports)
        except StudyStopped:
            leave_tidy(open_study(settings, storage), settings, storage, reason=None)
            write_report(open_study(settings, storage), settings, rules_of(settings), console=console)
            raise
    leave_tidy(study, settings, storage, reason=signals.reason())
    write_report(study, settings, rules_of(settings), console=console)
    return INTERRUPTED_EXIT_CODE if interrupted else 0


def leave_tidy(study: Study, settings: StudySettings, storage: BaseStorage, *, reason: str | None) -> None:
    """Free the trials of this machine's dead workers, which nobody may look at again, and delete useless files.

    `reason`: the signal that ended the command; a worker that had to be killed could not free its trial itself.
    """
    from studies.schema import INTERRUPTED
    from studies.storage.checkpoints import sweep
    from studies.storage.lease import Watch

    message = f"{INTERRUPTED} ({reason})" if reason is not None else "its worker died"
    watch = Watch(storage, lease_s=settings.storage.lease_s)
    watch.release_dead(study, study.get_trials(deepcopy=False), message=message)
    sweep(study.get_trials(deepcopy=False), settings)


def search(
    settings: StudySettings,
    storage: BaseStorage,
    console: Console,
    *,
    signals: StopSignals,
    imports: Compatible | None = None,
) -> tuple[Study, bool]:
    """Run workers until the study is finished, its time is up, or a signal comes; whether one came.

    `imports` are brought in before.
    """
    from studies.errors import BadInput
    from studies.launch.launcher import make_launcher
    from studies.progress import Progress
    from studies.search.pruners import pruner_notes
    from studies.search.samplers import sampler_notes
    from studies.shift import Shift
    from studies.storage.identity import open_study
    from studies.storage.importing import bring_in, told
    from studies.storage.lease import Watch
    from studies.storage.slots import rules_of
    from studies.worker import has_reached

    console.print(f"study {settings.study_name}: loading torch and trying one batch …")
    signals.install()
    launcher = make_launcher(settings, storage, signals=signals, tell=lambda line: console.print(f"  {line}"))
    problems = launcher.preflight()
    if problems:
        raise BadInput(problems)
    study = open_study(settings, storage)
    if imports is not None and bring_in(imports, settings, study, storage, pause=signals.wait):
        console.print(f"  {told(study)}")
    begun = datetime.now(UTC)
    shift = Shift(begun, begun + timedelta(seconds=settings.timeout_s) if settings.timeout_s else None)
    if signals.reason() is None:
        console.print(
            f"{settings.n_trials} trials, sampler {settings.sampler.name}, pruner {settings.pruner.name}; "
            f"logs in {launcher.logs}"
        )
        for line in (*launcher.places(), *sampler_notes(settings), *pruner_notes(settings)):
            console.print(f"  {line}")
        watch = Watch(storage, lease_s=settings.storage.lease_s)  # workers look only between their own trials
        with Progress(study, settings, rules_of(settings), console=console) as progress:

            def tick() -> int:
                begun = progress.tick()
                if signals.reason() is None:
                    watch.release_stale(study, progress.trials)
                return begun

            launcher.run(shift, on_tick=tick)
    if shift.is_over:
        console.print(f"the time is up (timeout_s={settings.timeout_s}): no more trials begin")
    if has_reached(study.get_trials(deepcopy=False), settings):
        console.print(f"a trial has reached stop_at={settings.stop_at:g}: no more trials begin")
    if signals.reason() is not None:
        console.print(f"interrupted ({signals.reason()})")
    return study, signals.reason() is not None


main = command(run)

if __name__ == "__main__":
    main()
