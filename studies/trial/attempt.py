"""What a trial goes on from and what it leaves behind: its checkpoints, as the storage records them.

The record in the storage is the truth. A new file is recorded once it is whole, and the one before is deleted only
then, so that at any moment the record of a running or released trial names a file that is there.
"""

from __future__ import annotations

import logging
import math
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna import Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.records.eligible import can_be_best
from studies.records.objectives import by_first
from studies.text.printable import described
from studies.trial.files import checkpoint_in, discard, sha256_of, trial_folder, trials_folder
from studies.trial.half_batch import HalfBatch
from studies.trial.keeper import Keeping, Saved

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint to go on from, and the number of the trial that left it."""

    trial: int
    saved: Saved


class Attempt:
    """Keeps the record of the checkpoints of `trial`, which tries the point of `repeated` again if that is given.

    `has_checkpoint`: one of the two has saved its state; `has_resumed`: this one goes on from there.
    """

    def __init__(self, trial: BaseTrial, settings: StudySettings, repeated: FrozenTrial | None) -> None:
        self.has_checkpoint = repeated is not None and bool(repeated.user_attrs.get(schema.CHECKPOINT))
        self.has_resumed = False
        self._trial = trial
        self._settings = settings
        self._repeated = repeated
        self._start: Start | None = None
        self._own: Path | None = None

    @property
    def keeping(self) -> Keeping:
        """Where and when this trial saves."""
        folder = trial_folder(self._settings.output_dir, self._trial.number)
        return Keeping(folder, self._settings.study_name, self._settings.checkpoint.every_s)

    def start(self, half: HalfBatch | None) -> Path | None:
        """Where a training goes on, at the full batch or at `half`; None: at the beginning, which is told where there
        was a checkpoint that cannot be used.

        From now on the record of this trial names that checkpoint too: it may die before it has saved one of its own.
        """
        record = self._repeated.user_attrs.get(schema.CHECKPOINT) if self._repeated is not None else None
        if self._repeated is None or not record:
            return None
        if self._repeated.user_attrs.get(schema.BATCH_HALVED) != (None if half is None else asdict(half)):
            self.restart("was saved at another batch size")
            return None
        try:
            start = Start(self._repeated.number, self._read(record))
            found = sha256_of(start.saved.path)
        except OSError as error:
            self.restart(f"cannot be read on {platform.node()} ({error.strerror or error})")
            return None
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self.restart(f"has a record that makes no sense ({described(error)})")
            return None
        if found != start.saved.sha256:
            self.restart("is damaged: the file is not what was written")
            return None
        self._trial.set_user_attr(schema.CHECKPOINT, {**record, "path": str(start.saved.path)})
        self._start, self._own = start, start.saved.path
        return start.saved.path

    def restart(self, reason: str) -> None:
        """Record that this trial begins anew in spite of a checkpoint."""
        assert self._repeated is not None
        told = f"the checkpoint of trial {self._repeated.number} {reason}"
        log.warning("trial %d begins anew: %s", self._trial.number, told)
        self._trial.set_user_attr(schema.RESTARTED, told)

    def resumed(self) -> None:
        """Record that the training goes on."""
        assert self._start is not None
        self.has_resumed = True
        saved = self._start.saved
        told = {"trial": self._start.trial, "rung": saved.rung, "steps": saved.steps, "exact": saved.exact}
        self._trial.set_user_attr(schema.RESUMED_FROM, told)
        log.info("trial %d goes on from the checkpoint of trial %d (%s)", self._trial.number, self._start.trial, told)

    def drop(self) -> None:
        """Forget what was saved, and from where this trial went on: it begins anew, in another way."""
        if self.has_resumed:
            self._trial.set_user_attr(schema.RESUMED_FROM, None)
        if self._own is not None:
            self._trial.set_user_attr(schema.CHECKPOINT, None)
            self._discard(self._own)
        self._start = self._own = None
        self.has_resumed = False

    def saved(self, saved: Saved) -> None:
        """Record a new checkpoint and delete the one before."""
        record = {**asdict(saved), "path": str(saved.path), "host": platform.node()}
        try:
            self._trial.set_user_attr(schema.CHECKPOINT, record)
        except UpdateFinishedTrialError:  # another worker has taken over, from the checkpoint before
            self._discard(saved.path)
            raise
        before, self._own = self._own, saved.path
        self.has_checkpoint = True
        if before is not None:
            self._discard(before)

    def is_among_the_best(self, value: float) -> bool:
        """Whether a trial that completes with `value` is one whose last state is to be kept; of two objectives the
        second, which is not known yet, may decide for it among its equals."""
        k = self._settings.checkpoint.keep_best
        if k == 0 or not isinstance(self._trial, Trial):
            return False
        sign = 1 if self._settings.objective.direction == "maximize" else -1
        complete = self._trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        others = by_first(list(filter(can_be_best, complete)))
        own = (sign * value, math.inf if self._settings.objective.second is not None else -self._trial.number)
        return sum(1 for other in others if (sign * (other.value or 0.0), -other.number) > own) < k

    def _discard(self, path: Path) -> None:
        discard(path, output_dir=self._settings.output_dir, study_name=self._settings.study_name)

    def _read(self, record: dict[str, Any]) -> Saved:
        """What `record` says of a file. Raises OSError where the output folder has no such file."""
        recorded, folder = Path(record["path"]), self._settings.output_dir
        path = checkpoint_in(folder, recorded, study_name=self._settings.study_name)
        if path is None:
            raise FileNotFoundError(f"no checkpoint {recorded.parent.name}/{recorded.name} in {trials_folder(folder)}")
        rung, steps = int(record["rung"]), int(record["steps"])
        return Saved(path.absolute(), str(record["sha256"]), rung, steps, bool(record["exact"]))
