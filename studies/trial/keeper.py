"""Decides when a training saves its state, and saves it: at a rung now and then, when it is asked to stop, at its end.

Knows neither Optuna nor what becomes of the files: who is told of a new one keeps the record and deletes the old.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.trial.callbacks import Rungs
from studies.trial.checkpoint import NotPlain, write
from studies.trial.files import new_checkpoint
from studies.trial.ranks.ranks import ALONE, Ranks
from studies.trial.resuming import Shared, add_state, has_exact_loaders, is_in_mid_epoch, shared_state

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that holds a training's state after `steps` optimizer steps, `rung` being the last rung it had reached.

    `exact`: from here the training goes on as if it had never stopped. False in the middle of an epoch whose loader
    cannot tell where it is (samples may be seen twice), or whose metric is logged in training; and between two batches
    of one step where there are several ranks, whose gradients are averaged one batch earlier: equal up to rounding.
    """

    path: Path
    sha256: str
    rung: int
    steps: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where and when to save: in new files of `folder`, named for the study too.

    `every_s`: at the first rung after so many seconds since the last save, None: only when asked to stop.
    """

    folder: Path
    study_name: str
    every_s: float | None


class Keeper:
    """Looks after one training; `between_batches` is its Trainer's. `last_rung` is the number of rungs.

    `interrupted() -> str | None` is asked after each batch and names the reason to give up at once, which is `reason`
    from then on; `saved` is told of each new file once it is there. `holds(trainer)` says that the module has other
    weights than the training goes on from: nothing is saved then, and the training goes on until it has them again.
    Where several `ranks` train together, `interrupted` has to come out alike on all, they save together, and rank 0
    alone writes and tells.
    """

    def __init__(
        self,
        rungs: Rungs,
        *,
        last_rung: int,
        interrupted: Callable[[], str | None],
        keeping: Keeping | None,
        saved: Callable[[Saved], None],
        holds: Callable[[Any], bool] = lambda _trainer: False,
        ranks: Ranks = ALONE,
    ) -> None:
        self.reason: str | None = None
        self._rungs = rungs
        self._last_rung = last_rung
        self._interrupted = interrupted
        self._keeping = keeping
        self._saved = saved
        self._holds = holds
        self._ranks = ranks
        self._n_rungs = 0
        self._last_save = 0.0
        self._asked_after: int | None = None

    def between_batches(self, trainer: Trainer, stopping: bool) -> bool:
        """Whether to stop here; saves where it is time to. A training that is at its end goes to its end."""
        if self._ranks.size > 1 and (trainer.validating or self._was_asked_here(trainer)):
            return False  # ranks may validate unequal numbers of batches: they could not stop together
        is_first, self._asked_after = self._asked_after is None, self._rungs.batches
        reason = self._interrupted()
        if stopping or reason is not None:
            self.reason = reason or "SIGTERM"
            callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # documented, not declared
            is_trying = not any(
                one is self._rungs for one in callbacks
            )  # a finder: it has taken all callbacks away meanwhile
            if trainer.sanity_checking or is_trying or (is_first and self._ranks.size > 1):
                return True  # nothing has been trained that is not saved
            if self._holds(trainer) or self._is_at_its_end(trainer):
                return False
            self.save(trainer)
            return True
        if len(self._rungs.rungs) > max(self._n_rungs, self._rungs.n_restored) and not trainer.validating:
            self._n_rungs = len(self._rungs.rungs)
            if self._is_time_to_save(trainer):
                self.save(trainer)
        return False

    def save(self, trainer: Trainer, *, ended: bool = False) -> None:
        """Write a checkpoint and tell of it. Where it cannot be written, that is logged and the training goes on."""
        keeping, rungs = self._keeping, self._rungs
        if keeping is None or not (ended or self._can_go_on_from_here(trainer)):
            return
        path = new_checkpoint(
            keeping.folder, study_name=keeping.study_name, rung=rungs.last_index, batches=rungs.batches
        )
        rungs.count()
        before = rungs.before_validation if trainer.validating else None
        shared = shared_state(trainer, self._ranks, before_validation=before, ended=ended)
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
            self._saved(Saved(path.absolute(), writer.sha256, rungs.last_index, trainer.global_step, exact))

    def _is_time_to_save(self, trainer: Trainer) -> bool:
        if self._keeping is None or self._keeping.every_s is None or self._is_at_its_end(trainer):
            return False
        due = time.perf_counter() - max(self._last_save, self._rungs.begun) >= self._keeping.every_s
        return bool(self._ranks.share("save", due)[0][0])

    def _was_asked_here(self, trainer: Trainer) -> bool:
        """Several ranks are asked before each batch too, by when something of the next epoch may have begun."""
        return is_in_mid_epoch(trainer) and self._rungs.batches == self._asked_after

    def _is_at_its_end(self, trainer: Trainer) -> bool:
        """Whether nothing is left to train; the validation after the last of a number of steps, which Lightning would
        not begin again, counts as the end too."""
        if trainer.validating:
            return 0 <= trainer.max_steps <= trainer.global_step
        may_stop = trainer.current_epoch >= (trainer.min_epochs or 0) and trainer.global_step >= (
            trainer.min_steps or 0
        )
        return (trainer.should_stop and may_stop) or self._rungs.last_index >= self._last_rung

    def _can_go_on_from_here(self, trainer: Trainer) -> bool:
        """An epoch without a known length would become longer by what is seen twice."""
        unknown = math.isinf(trainer.num_training_batches) and self._rungs.at_epochs
        return not (unknown and is_in_mid_epoch(trainer)) or has_exact_loaders(trainer)


class _Writer:
    """Takes the place of Lightning's own writer while a training saves its state. It raises nothing: the other ranks
    wait until it has ended."""

    def __init__(self, shared: Shared, *, seconds: float, validating: bool, ended: bool) -> None:
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
