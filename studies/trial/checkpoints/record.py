"""The checkpoints of one trial as the storage records them.

The record in the storage is the truth. A new file is recorded once it is whole, and only then the previous one is
deleted. So the record of a running or released trial always names a file that exists.
"""

from __future__ import annotations

import logging
import math
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna import Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.config.settings import ObjectiveSettings
from studies.records.eligible import can_be_best
from studies.records.objectives import by_first
from studies.text.printable import described
from studies.trial.checkpoints.files import checkpoint_in, discard, sha256_of, trials_folder
from studies.trial.checkpoints.saver import SavedCheckpoint
from studies.trial.half_batch import HalfBatch

log = logging.getLogger(__name__)


class CheckpointRecord:
    """Keeps the record of the checkpoints of `trial`. `repeated` is the trial that it tries again.

    `has_any`: one of the two has saved a checkpoint. `has_resumed`: this trial has resumed from one.
    """

    def __init__(self, trial: BaseTrial, repeated: FrozenTrial | None, *, output_dir: Path, study_name: str) -> None:
        self.has_any = repeated is not None and bool(repeated.user_attrs.get(schema.CHECKPOINT))
        self.has_resumed = False
        self._trial = trial
        self._repeated = repeated
        self._output_dir = output_dir
        self._study_name = study_name
        self._start: SavedCheckpoint | None = None
        self._own: Path | None = None

    def start(self, half: HalfBatch | None) -> Path | None:
        """Return the checkpoint to resume from at the full batch or at `half`, None to start from the beginning.

        Records the reason if a checkpoint cannot be used. From now on the record of this trial names the checkpoint
        too: the trial may die before it has saved one of its own.
        """
        record = self._repeated.user_attrs.get(schema.CHECKPOINT) if self._repeated is not None else None
        if self._repeated is None or not record:
            return None
        if self._repeated.user_attrs.get(schema.BATCH_HALVED) != (None if half is None else asdict(half)):
            self.restart("was saved at another batch size")
            return None
        try:
            start = self._read(record)
            found = sha256_of(start.path)
        except OSError as error:
            self.restart(f"cannot be read on {platform.node()} ({error.strerror or error})")
            return None
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self.restart(f"has a record that makes no sense ({described(error)})")
            return None
        if found != start.sha256:
            self.restart("is damaged: the file is not what was written")
            return None
        self._trial.set_user_attr(schema.CHECKPOINT, {**record, "path": str(start.path)})
        self._start, self._own = start, start.path
        return start.path

    def restart(self, reason: str) -> None:
        """Record why this trial starts from the beginning although there is a checkpoint."""
        assert self._repeated is not None
        message = f"the checkpoint of trial {self._repeated.number} {reason}"
        log.warning("trial %d starts from the beginning: %s", self._trial.number, message)
        self._trial.set_user_attr(schema.RESTARTED, message)

    def resumed(self) -> None:
        """Record that the training has resumed."""
        assert self._start is not None
        assert self._repeated is not None
        self.has_resumed = True
        number, start = self._repeated.number, self._start
        record = {"trial": number, "rung": start.rung, "steps": start.steps, "exact": start.exact}
        self._trial.set_user_attr(schema.RESUMED_FROM, record)
        log.info("trial %d resumes from the checkpoint of trial %d (%s)", self._trial.number, number, record)

    def drop(self) -> None:
        """Forget what was saved and resumed from: the trial starts again, in another way."""
        if self.has_resumed:
            self._trial.set_user_attr(schema.RESUMED_FROM, None)
        if self._own is not None:
            self._trial.set_user_attr(schema.CHECKPOINT, None)
            self._discard(self._own)
        self._start = self._own = None
        self.has_resumed = False

    def saved(self, saved: SavedCheckpoint) -> None:
        """Record a new checkpoint and delete the previous one."""
        record = {**asdict(saved), "path": str(saved.path), "host": platform.node()}
        try:
            self._trial.set_user_attr(schema.CHECKPOINT, record)
        except UpdateFinishedTrialError:  # another worker has taken over, from the checkpoint before
            self._discard(saved.path)
            raise
        before, self._own = self._own, saved.path
        self.has_any = True
        if before is not None:
            self._discard(before)

    def _discard(self, path: Path) -> None:
        discard(path, output_dir=self._output_dir, study_name=self._study_name)

    def _read(self, record: dict[str, Any]) -> SavedCheckpoint:
        """Return the checkpoint of `record`. Raise OSError where the output folder has no such file."""
        recorded, folder = Path(record["path"]), self._output_dir
        path = checkpoint_in(folder, recorded, study_name=self._study_name)
        if path is None:
            raise FileNotFoundError(f"no checkpoint {recorded.parent.name}/{recorded.name} in {trials_folder(folder)}")
        rung, steps = int(record["rung"]), int(record["steps"])
        return SavedCheckpoint(path.absolute(), str(record["sha256"]), rung, steps, bool(record["exact"]))


def is_among_the_best(trial: BaseTrial, value: float, *, k: int, objective: ObjectiveSettings) -> bool:
    """Return whether a trial that completes with `value` will be one of the `k` best.

    Of two objectives the second is not known yet, so an equal value counts as better.
    """
    if k == 0 or not isinstance(trial, Trial):
        return False
    sign = 1 if objective.maximize else -1
    complete = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    others = by_first(list(filter(can_be_best, complete)))
    own = (sign * value, math.inf if objective.second is not None else -trial.number)
    return sum(1 for other in others if (sign * (other.value or 0.0), -other.number) > own) < k
