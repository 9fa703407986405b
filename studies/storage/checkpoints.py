"""Which checkpoints a study still needs, and the deletion of all others.

Needed is the newest checkpoint of each point that is not finished, for its retry; and the last state of the best
`keep_best` complete trials. A trial only ever falls in the ranking, and what is finished begins no more; so whoever
deletes by an old view of the study deletes too little, never too much.

What the checkpoint callbacks of a trial wrote into its folder lives as long as the trial is among the best, or may
still be tried again.

Files are told apart by the names of their folder and their own: another machine may see them at another path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.records.eligible import can_be_best
from studies.records.objectives import by_first, losses_of
from studies.schema import is_imported
from studies.storage.slots import Rules, Slot, originals, read_slots, rules_of
from studies.trial.files import checkpoint_in, discard, discard_own, is_checkpoint_of, trial_folder

RUNS = (TrialState.RUNNING, TrialState.WAITING)


def discard_useless(trials: Sequence[FrozenTrial], settings: StudySettings) -> None:
    """Delete the checkpoints that `trials` record and the study no longer needs."""
    needed = _names(needed_paths(trials, settings))
    for trial in trials:
        path = checkpoint_of(trial)
        if path is not None and _name(path) not in needed and trial.state not in RUNS:
            discard(path, output_dir=settings.output_dir, study_name=settings.study_name)
    _discard_own(trials, settings)


def sweep(trials: Sequence[FrozenTrial], settings: StudySettings) -> None:
    """Delete what lies below the output folder and no trial needs: also what dead workers left unrecorded.

    Left alone is what the study did not write: other names, files from before its first trial, the folders of trials
    that run or that `trials` does not have.
    """
    needed = _names(needed_paths(trials, settings))
    own = [trial for trial in trials if schema.IMPORTED_FROM not in trial.user_attrs]
    begun = min((t.datetime_start for t in own if t.datetime_start is not None), default=None)
    if begun is None:
        return
    for trial in trials:
        if trial.state not in RUNS:
            for path in _written_since(begun, trial_folder(settings.output_dir, trial.number), settings):
                if _name(path) not in needed:
                    discard(path, output_dir=settings.output_dir, study_name=settings.study_name)
    _discard_own(trials, settings)


def needed_paths(trials: Sequence[FrozenTrial], settings: StudySettings) -> set[Path]:
    """The files that must stay."""
    rules = rules_of(settings)
    paths = {checkpoint_of(trial) for trial in best_trials(trials, settings)}
    for slot in read_slots(trials, max(settings.n_trials, len(originals(trials)))):
        if not rules.is_finished(slot):
            paths |= _needed_in(slot, rules)
    return {path for path in paths if path is not None}


def best_trials(trials: Sequence[FrozenTrial], settings: StudySettings) -> list[FrozenTrial]:
    """The complete trials whose last state is kept, best first by the first objective; of equals the one with the
    better second value, or the earlier one."""
    maximize, then_maximize = settings.objective.direction == "maximize", settings.objective.then_maximize
    losses = partial(losses_of, maximize=maximize, then_maximize=then_maximize)
    complete = list(filter(can_be_best, trials))
    complete.sort(key=lambda trial: (*losses(trial), trial.number))
    return by_first(complete[: settings.checkpoint.keep_best])


def checkpoint_of(trial: FrozenTrial) -> Path | None:
    """The file that `trial` records. Whether it is there, and the study's own, `checkpoint_in` tells."""
    record = trial.user_attrs.get(schema.CHECKPOINT)
    path = record.get("path") if isinstance(record, dict) else None
    return Path(path) if isinstance(path, str) else None


def last_state_of(trial: FrozenTrial, settings: StudySettings) -> Path | None:
    """The file with the state at the end of a complete `trial`, where it was kept and is there: in the output folder of
    its study, which may have been moved since. An imported trial has none: its file is another study's."""
    path = checkpoint_of(trial)
    if path is None or trial.user_attrs[schema.CHECKPOINT].get("steps") != trial.user_attrs.get(schema.STEPS):
        return None
    if trial.state != TrialState.COMPLETE:
        return None
    return checkpoint_in(settings.output_dir, path, study_name=settings.study_name)


def _discard_own(trials: Sequence[FrozenTrial], settings: StudySettings) -> None:
    """Delete what the checkpoint callbacks of trials wrote that are neither among the best nor to be tried again."""
    rules, kept = rules_of(settings), {trial.number for trial in best_trials(trials, settings)}
    for slot in read_slots(trials, max(settings.n_trials, len(originals(trials)))):
        chain = {trial.number for trial in slot.chain}
        kept |= chain if chain & kept or not rules.is_finished(slot) else set()
    for trial in trials:
        begun, ended = trial.datetime_start, trial.datetime_complete
        if trial.number in kept or trial.state in RUNS or is_imported(trial) or begun is None or ended is None:
            continue
        discard_own(
            trial_folder(settings.output_dir, trial.number),
            output_dir=settings.output_dir,
            study_name=settings.study_name,
            since=begun,
            until=ended,
        )


def _needed_in(slot: Slot, rules: Rules) -> set[Path | None]:
    """The newest checkpoint of the point that is being tried or will be tried again."""
    for trial in reversed(slot.chain):
        if not rules.repeats_point(trial) and trial.state == TrialState.FAIL and schema.VOID not in trial.user_attrs:
            break  # its point was tried often enough; another one takes its place
        path = checkpoint_of(trial)
        if path is not None:
            return {path}
        if schema.REDRAWN in trial.user_attrs:
            break
    return set()


def _names(paths: Iterable[Path]) -> set[tuple[str, str]]:
    return {_name(path) for path in paths}


def _name(path: Path) -> tuple[str, str]:
    return path.parent.name, path.name


def _written_since(begun: datetime, folder: Path, settings: StudySettings) -> Iterator[Path]:
    for path in _listed(folder):
        absolute = path.absolute()
        if is_checkpoint_of(settings.study_name, absolute, output_dir=settings.output_dir):
            with contextlib.suppress(OSError):
                if datetime.fromtimestamp(path.lstat().st_mtime) >= begun.replace(microsecond=0):
                    yield absolute


def _listed(folder: Path) -> list[Path]:
    """Return what lies in `folder`; nothing where it cannot be read, or another command removes it at this moment."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
