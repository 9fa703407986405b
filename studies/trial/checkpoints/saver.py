"""Saves the state of a training: at some rungs, on a request to stop, and at the end.

It knows neither Optuna nor the later life of the files: its listener keeps the record and deletes old files.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.trial.checkpoints.files import new_checkpoint
from studies.trial.checkpoints.resuming import RankStates, add_state, gather_states, has_exact_loaders, is_in_mid_epoch
from studies.trial.checkpoints.state_file import NotPlain, write
from studies.trial.rungs.rungs import Rungs

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A file with the state of a training after `steps` optimizer steps. `rung` is the last rung reached before.

    `exact`: a training resumed from here equals one that never stopped. It is false in mid-epoch if the loader cannot
    be resumed (samples may be seen twice), or the metric is logged in training. With several ranks it is also false
    between two batches of one step: gradients are averaged one batch earlier, and results agree up to rounding.
    """

    path: Path
    sha256: str
    rung: int
    steps: int
    exact: bool


@dataclass(frozen=True, slots=True)
class SavingRule:
    """When and where to save: in new files of `folder` with a digest of `study_name`.

    `every_s`: at the first rung after so many seconds since the last save. None: only on a request to stop.
    """

    folder: Path
    study_name: str
    every_s: float | None


class CheckpointSaver:
    """Decides for one training when it saves and stops.

    `interrupted() -> str | None` is asked after each batch. The reason that it gives becomes `reason`. `saved` is told
    of each new file. `weights_replaced(trainer)` says that the module has other weights for now. Nothing is saved then,
    and the training runs on until its own are back.

    Where several ranks train together, `interrupted` has to give the same answer on all. They save together, and rank
    0 alone writes and tells.
    """

    def __init__(
        self,
        rungs: Rungs,
        *,
        interrupted: Callable[[], str | None],
        saving: SavingRule | None,
        saved: Callable[[SavedCheckpoint], None],
        weights_replaced: Callable[[Any], bool] = lambda _trainer: False,
    ) -> None:
        self.reason: str | None = None
        self._rungs = rungs
        self._interrupted = interrupted
        self._rule = saving
        self._saved = saved
        self._weights_replaced = weights_replaced
        self._ranks = rungs.ranks
        self._n_rungs = 0
        self._last_save = 0.0
        self._asked_after: int | None = None

    def between_batches(self, trainer: Trainer, stopping: bool) -> bool:
        """Return whether to stop here, and save if it is time to. A training at its end is not stopped."""
        if self._ranks.size > 1 and (trainer.validating or self._was_asked_here(trainer)):
            return False  # ranks may validate unequal numbers of batches: they could not stop together
        is_first, self._asked_after = self._asked_after is None, self._rungs.batches
        reason = self._interrupted()
        if stopping or reason is not None:
            self.reason = reason or "SIGTERM"
            callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # documented, not declared
            is_trying = not any(one is self._rungs for one in callbacks)  # a finder removes all callbacks for its tries
            if trainer.sanity_checking or is_trying or (is_first and self._ranks.size > 1):
                return True  # everything trained is saved
            if self._weights_replaced(trainer) or self._is_at_its_end(trainer):
                return False
            self.save(trainer)
            return True
        if len(self._rungs.rungs) > max(self._n_rungs, self._rungs.n_restored) and not trainer.validating:
            self._n_rungs = len(self._rungs.rungs)
            if self._is_time_to_save(trainer):
                self.save(trainer)
        return False

    def save(self, trainer: Trainer, *, ended: bool = False) -> None:
        """Write a checkpoint and tell of it. A failure to write is logged, and the training continues."""
        saving, rungs = self._rule, self._rungs
        if saving is None or not (ended or self._is_resumable(trainer)):
            return
        path = new_checkpoint(saving.folder, study_name=saving.study_name, rung=rungs.last_index, batches=rungs.batches)
        rungs.count()
        before = rungs.before_validation if trainer.validating else None
        shared = gather_states(trainer, self._ranks, before_validation=before, ended=ended)
        writer = _Writer(shared, seconds=rungs.seconds, validating=trainer.validating, ended=ended)
        strategy: Any = trainer.strategy
        own, strategy.checkpoint_io = strategy.checkpoint_io, writer
        try:
            trainer.save_checkpoint(path, weights_only=False)
        except RuntimeError as error:  # of a module's own hook
            if self._ranks.size > 1:
                raise  # the others wait for this one
            writer.error = error
        finally:
            strategy.checkpoint_io = own
            self._last_save = time.perf_counter()
        if writer.error is not None:
            log.warning("no checkpoint was saved: %s", writer.error)
        elif writer.sha256 is not None:  # else another rank writes
            rounded = self._ranks.size > 1 and bool(shared.gradients)
            in_mid_epoch = has_exact_loaders(trainer) and trainer.enable_validation and not rounded
            exact = ended or not is_in_mid_epoch(trainer) or in_mid_epoch
            self._saved(SavedCheckpoint(path.absolute(), writer.sha256, rungs.last_index, trainer.global_step, exact))

    def _is_time_to_save(self, trainer: Trainer) -> bool:
        if self._rule is None or self._rule.every_s is None or self._is_at_its_end(trainer):
            return False
        due = time.perf_counter() - max(self._last_save, self._rungs.begun) >= self._rule.every_s
        return bool(self._ranks.share("save", due)[0][0])

    def _was_asked_here(self, trainer: Trainer) -> bool:
        """Return whether this point was asked already: several ranks are also asked before each batch."""
        return is_in_mid_epoch(trainer) and self._rungs.batches == self._asked_after

    def _is_at_its_end(self, trainer: Trainer) -> bool:
        """Return whether nothing is left to train.

        The validation after the last of a number of steps counts as the end, because Lightning would not repeat it.
        """
        if trainer.validating:
            return 0 <= trainer.max_steps <= trainer.global_step
        may_stop = trainer.current_epoch >= (trainer.min_epochs or 0) and trainer.global_step >= (
            trainer.min_steps or 0
        )
        return (trainer.should_stop and may_stop) or self._rungs.last_index >= self._rungs.budget.rungs

    def _is_resumable(self, trainer: Trainer) -> bool:
        """Return whether a training could resume from here.

        An epoch of unknown length without exact loaders could not: samples seen twice would make it longer.
        """
        unknown = math.isinf(trainer.num_training_batches) and self._rungs.at_epochs
        return not (unknown and is_in_mid_epoch(trainer)) or has_exact_loaders(trainer)


class _Writer:
    """Takes the place of Lightning's own writer while a training saves its state.

    It raises nothing, because the other ranks wait until it has ended.
    """

    def __init__(self, shared: RankStates, *, seconds: float, validating: bool, ended: bool) -> None:
        self.sha256: str | None = None
        self.error: Exception | None = None
        self._shared = shared
        self._seconds = seconds
        self._validating = validating
        self._ended = ended

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        add_state(checkpoint, self._shared, seconds=self._seconds, validating=self._validating, ended=self._ended)
        try:
            self.sha256 = write(checkpoint, Path(path))
        except (OSError, NotPlain, RuntimeError) as error:
            self.error = error
