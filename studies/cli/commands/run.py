"""`studies.run`: validate, find the stored study, search, select, conclude.

An experiment has one study, or one for each part of a hypothesis. Its parts run one after the other. A question to a
study is answered by a designed study, which runs in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import optuna
from omegaconf import DictConfig
from optuna import Study
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from rich.console import Console

from studies.cli.command import INTERRUPTED_EXIT_CODE
from studies.cli.console import make_console
from studies.cli.experiment import conclude_experiment, each_part, is_finished
from studies.cli.question import designed_config
from studies.cli.reports import report_study
from studies.cli.session import CommandClock, RunOutcome, Session
from studies.cli.study_run import device_time_spent, search, tidy
from studies.cli.validation import validate_and_open
from studies.config.parsing.output_folder import refusals_told
from studies.config.settings import StudySettings
from studies.errors import StorageUnusable, StudyStopped
from studies.process.signals import StopSignals
from studies.records.stored import refuse_earlier_schema
from studies.selection.rounds import announcement
from studies.selection.run import select, selection_of
from studies.storage.compatible import compatible_trials
from studies.storage.creation import open_study
from studies.storage.gone import deletion_told
from studies.storage.identity import changed_search, find_study, moved_data, search_of
from studies.storage.importing import ignored, is_to_import
from studies.storage.stopping import stopping_of
from studies.text.printable import described
from studies.text.quoting import pasted

PART_UNFINISHED = "is not finished, so the others wait: the same command goes on"
SELECTION_WAITS = "the time is up: the same command goes on with the selection"
NO_REPORT = "interrupted: the report is not complete, and the same command writes it again"
STORAGE_AWAY = "while the storage was away: its leases will free the running trials, and the same command goes on"


def run_experiment(config: DictConfig) -> int:
    """Run what `config` describes to its end. Return the exit code."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console, signals = make_console(), StopSignals()
    try:
        return _run_parts(config, console, signals)
    except (StorageInternalError, StorageUnusable):
        reason = signals.reason()
        if reason is None:
            raise
        console.print(f"interrupted ({reason}) {STORAGE_AWAY}")
        return INTERRUPTED_EXIT_CODE


def _run_parts(config: DictConfig, console: Console, signals: StopSignals) -> int:
    """Run the studies of an experiment one after the other, and conclude it once all are finished."""
    clock = CommandClock()
    if config.get("question") is not None:
        config = designed_config(config, console)
    for part in each_part(config):
        if part.name:
            console.print(f"part {part.name}:")
        settings, storage = validate_and_open(part.config, pause=signals.wait)
        if _run_study(Session(settings, console, signals, clock, storage)) is RunOutcome.INTERRUPTED:
            return INTERRUPTED_EXIT_CODE
        if part.name and not is_finished(part):
            console.print(f"part {part.name} {PART_UNFINISHED}")
            return 0
    conclude_experiment(config, console)
    return 0


def _run_study(session: Session) -> RunOutcome:
    """Run one study, and return why it ended. Write its report, also where the study stops by itself."""
    study, session = _find(session)
    settings = session.settings
    try:
        study, outcome = _search(study, session)
        with deletion_told(session.storage, settings.study_name):
            tidy(study, session)
            if outcome is not RunOutcome.INTERRUPTED and settings.select.name != "none":
                outcome = _select(study, session, outcome)
    except StudyStopped:
        _conclude_stopped(study, session)
        raise
    with deletion_told(session.storage, settings.study_name):
        _conclude(study, session)
    return outcome


def _find(session: Session) -> tuple[Study | None, Session]:
    """Return the stored study, if there is one, and the session under its name, which a fork changes."""
    study, settings = find_study(session.settings, session.storage)
    if study is not None:
        refuse_earlier_schema(study)
    if settings.study_name != session.settings.study_name:
        named = pasted("study_name", settings.study_name)
        session.console.print(f"forked: continue this study with {named}, without resume=fork")
    return study, replace(session, settings=settings)


def _search(study: Study | None, session: Session) -> tuple[Study, RunOutcome]:
    """Search, unless the stored `study` has ended already. Return the study and why it ended."""
    settings = session.settings
    imports = compatible_trials(settings, session.storage) if is_to_import(settings.import_from, study) else None
    for note in _resume_notes(study, settings) if study is not None else ():
        session.console.print(note)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    if settings.select.name != "none" and selection_of(settings, trials, session.storage) is None:
        session.console.print(announcement(settings))
    ended = session.end_of(trials) if study is not None else None
    if study is None or ended is None:
        return search(session, imports=imports)
    session.console.print(_ended_before(ended, trials, session))
    return study, ended


def _resume_notes(study: Study, settings: StudySettings) -> Iterator[str]:
    """Yield what differs from the beginning of a stored `study`."""
    searched = search_of(settings.sampler, settings.pruner)
    notes = (
        ignored(settings.import_from, study),
        moved_data(settings.template, study),
        changed_search(searched, study),
    )
    yield from filter(None, notes)


def _ended_before(outcome: RunOutcome, trials: Sequence[FrozenTrial], session: Session) -> str:
    """Return why a stored study is not searched any further, and how to search on."""
    settings = session.settings
    study = f"study {settings.study_name}"
    if outcome is RunOutcome.TARGET_REACHED:
        return f"{study} has reached stop_at={settings.stop_at:g} (stop_at=null goes on)"
    if outcome is RunOutcome.DEVICES_SPENT:
        return f"{study}: {device_time_spent(trials, stopping_of(settings).device_time)}"
    return f"{study} is finished (more trials: n_trials=N, a new study: resume=fork)"


def _select(study: Study, session: Session, outcome: RunOutcome) -> RunOutcome:
    """Run the rounds of the selection. Return the `outcome` of the search, or that a signal came."""

    def run_round(settings: StudySettings) -> bool:
        """Run one round. Return whether the next one may begin."""
        if session.is_out_of_time:
            session.console.print(SELECTION_WAITS)
            return False
        own = replace(session, settings=settings)
        try:
            found, outcome = search(own)
        except StudyStopped:
            tidy(open_study(settings, session.storage), own)
            raise
        with deletion_told(session.storage, settings.study_name):  # the round, not the search
            tidy(found, own)
        return outcome is not RunOutcome.INTERRUPTED

    select(study, session.settings, session.storage, run=run_round, signals=session.signals, console=session.console)
    return outcome if session.signals.reason() is None else RunOutcome.INTERRUPTED


def _conclude(study: Study, session: Session) -> None:
    """Write the report. A signal ends it at once, because it can be written again."""
    settings = session.settings
    selection = selection_of(settings, study.get_trials(deepcopy=False), session.storage)
    session.signals.hand_back()
    try:
        with refusals_told(settings.output_dir):
            report_study(study, settings, console=session.console, storage=session.storage, selection=selection)
    except (KeyboardInterrupt, SystemExit):
        session.console.print(NO_REPORT)
        raise


def _conclude_stopped(study: Study | None, session: Session) -> None:
    """Write the report of a study that stopped by itself. A failure here must not hide why it stopped."""
    try:
        study = open_study(session.settings, session.storage) if study is None else study
        tidy(study, session)
        _conclude(study, session)
    except Exception as error:  # noqa: BLE001 - why the study has stopped is what counts
        session.console.print(f"the report could not be written ({described(error)})")
