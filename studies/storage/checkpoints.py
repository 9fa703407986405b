"""The checkpoints that a study still needs, and the deletion of all others.

A study needs the newest checkpoint of each unfinished point, for its retry, and the last states of the best `keep_best`
complete trials. A trial can only fall in the ranking, and a finished point begins no more. So a worker with an old view
of the study may delete too little, but never too much.

The files of a trial's own checkpoint callbacks stay while the trial is among the best, or may still be tried again.

Another machine may see the files at another path, so folder name and file name identify them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import ObjectiveSettings, StudySettings
from studies.records.eligible import can_be_best
from studies.records.objectives import by_first, losses_of
from studies.schema import is_imported
from studies.storage.slots import Rules, Slot, read_slots, rules_of
from studies.trial.checkpoints.files import checkpoint_in, discard, discard_own, is_checkpoint_of, trial_folder

RUNS = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True, slots=True)
class StudyCheckpoints:
    """The checkpoint files of one study, below its `output_dir`."""

    study_name: str
    output_dir: Path
    keep_best: int  # of how many trials the last state is kept
    objective: ObjectiveSettings
    rules: Rules

    def discard_useless(self, trials: Sequence[FrozenTrial]) -> None:
        """Delete the recorded checkpoints of `trials` that the study no longer needs."""
        needed = self._needed(trials)
        for trial in trials:
            path = checkpoint_of(trial)
            if path is not None and _name(path) not in needed and trial.state not in RUNS:
                discard(path, output_dir=self.output_dir, study_name=self.study_name)
        self._discard_own(trials)

    def sweep(self, trials: Sequence[FrozenTrial]) -> None:
        """Delete every checkpoint below the output folder that no trial needs, also unrecorded ones of dead workers.

        Other files stay: other names, files from before the first trial, folders of running or unknown trials.
        """
        needed = self._needed(trials)
        own = [trial for trial in trials if schema.IMPORTED_FROM not in trial.user_attrs]
        begun = min((t.datetime_start for t in own if t.datetime_start is not None), default=None)
        if begun is None:
            return
        for trial in trials:
            if trial.state not in RUNS:
                for path in self._written_since(begun, trial.number):
                    if _name(path) not in needed:
                        discard(path, output_dir=self.output_dir, study_name=self.study_name)
        self._discard_own(trials)

    def best(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the complete trials whose last state is kept, best first.

        The first objective decides. Of equals the better second value comes first, then the earlier trial.
        """
        maximize, then_maximize = self.objective.maximize, self.objective.then_maximize
        losses = partial(losses_of, maximize=maximize, then_maximize=then_maximize)
        complete = sorted(filter(can_be_best, trials), key=lambda trial: (*losses(trial), trial.number))
        return by_first(complete[: self.keep_best])

    def last_state_of(self, trial: FrozenTrial) -> Path | None:
        """Return the file with the last state of a complete `trial`. None if it was not kept, or is not there.

        It is looked for in `output_dir`, which may have moved since. An imported trial's file is another study's.
        """
        path = checkpoint_of(trial)
        if path is None or trial.user_attrs[schema.CHECKPOINT].get("steps") != trial.user_attrs.get(schema.STEPS):
            return None
        if trial.state != TrialState.COMPLETE:
            return None
        return checkpoint_in(self.output_dir, path, study_name=self.study_name)

    def _needed(self, trials: Sequence[FrozenTrial]) -> set[tuple[str, str]]:
        """Return the names of the checkpoints that the study needs."""
        paths = {checkpoint_of(trial) for trial in self.best(trials)}
        for slot in read_slots(trials):
            if not self.rules.is_finished(slot):
                paths |= _needed_in(slot, self.rules)
        return {_name(path) for path in paths if path is not None}

    def _discard_own(self, trials: Sequence[FrozenTrial]) -> None:
        """Delete the files of checkpoint callbacks, but for the best trials and those that may be tried again."""
        kept = {trial.number for trial in self.best(trials)}
        for slot in read_slots(trials):
            chain = {trial.number for trial in slot.chain}
            kept |= chain if chain & kept or not self.rules.is_finished(slot) else set()
        for trial in trials:
            begun, ended = trial.datetime_start, trial.datetime_complete
            if trial.number in kept or trial.state in RUNS or is_imported(trial) or begun is None or ended is None:
                continue
            discard_own(
                trial_folder(self.output_dir, trial.number),
                output_dir=self.output_dir,
                study_name=self.study_name,
                since=begun,
                until=ended,
            )

    def _written_since(self, begun: datetime, number: int) -> Iterator[Path]:
        for path in _listed(trial_folder(self.output_dir, number)):
            absolute = path.absolute()
            if is_checkpoint_of(self.study_name, absolute, output_dir=self.output_dir):
                with contextlib.suppress(OSError):
                    if datetime.fromtimestamp(path.lstat().st_mtime) >= begun.replace(microsecond=0):
                        yield absolute


def checkpoints_of(settings: StudySettings) -> StudyCheckpoints:
    """Return the checkpoints of the study of `settings`."""
    keep_best = settings.checkpoint.keep_best
    return StudyCheckpoints(settings.study_name, settings.output_dir, keep_best, settings.objective, rules_of(settings))


def checkpoint_of(trial: FrozenTrial) -> Path | None:
    """Return the file that `trial` records. `checkpoint_in` tells whether it is there and the study's own."""
    record = trial.user_attrs.get(schema.CHECKPOINT)
    path = record.get("path") if isinstance(record, dict) else None
    return Path(path) if isinstance(path, str) else None


def _needed_in(slot: Slot, rules: Rules) -> set[Path | None]:
    """Return the newest checkpoint of the point that is being tried or will be tried again."""
    for trial in reversed(slot.chain):
        if not rules.repeats_point(trial) and trial.state == TrialState.FAIL and schema.VOID not in trial.user_attrs:
            break  # its point was tried often enough; another one takes its place
        path = checkpoint_of(trial)
        if path is not None:
            return {path}
        if schema.REDRAWN in trial.user_attrs:
            break
    return set()


def _name(path: Path) -> tuple[str, str]:
    return path.parent.name, path.name


def _listed(folder: Path) -> list[Path]:
    """Return the content of `folder`. It is empty if the folder cannot be read, or was just removed."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
