"""Callbacks of a trial, one class a job. They take plain callables and know nothing of Optuna.

They are plain classes: `studies.trial.package` gives them the base of the Lightning package that a trial uses.

Lightning walks through all callbacks six times a step, which costs more than what most of them do; so there is one
callback that every trial has (`Rungs`), and the others are added only where a setting asks for them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studies.config.settings import TRAINING_LOSS
from studies.trial import generators
from studies.trial.losses import Losses
from studies.trial.metrics import MetricMissing as MetricMissing
from studies.trial.metrics import Metrics
from studies.trial.ranks.ranks import ALONE, Ranks
from studies.trial.resuming import KEY, go_on, settle
from studies.trial.samples import SamplesSeen

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

CHECK_LOSS_EVERY = 100  # batches between looks at the loss: each look waits for the device


@dataclass(frozen=True, slots=True)
class Rung:
    """What a trial shows at an equal fraction of its budget. `index` counts from 1; `seconds` are those of training up
    to there, validation included; `second` is the value of the second metric, where there is one that the module logs.
    """

    index: int
    value: float
    samples_seen: int | None  # None where the batches do not tell
    seconds: float = field(compare=False)  # the same rung reached again is the same
    second: float | None = None


class Interrupted(BaseException):
    """A person or a signal wants the trial to end; not an error of the trial."""


class Rungs:
    """Reports the metric at each rung, stops the training where told to or where the loss is no longer finite.

    `report(rung) -> bool` is called once a rung and says whether to stop. With `holds_last` the last of `n_rungs` waits
    for `tell_last`, because a callback may change the weights after it. `resumed(rungs)` is called once, where the
    training goes on from a checkpoint, with the rungs that it had reached. Only a whole epoch with its validation is a
    rung: what another callback cuts short, a skipped validation, or a metric that is not logged anew, is not reported.

    With `needs_samples` a batch that does not tell its samples raises `SamplesUnknown`. Else they are not counted.
    Where several `ranks` train the trial together, `report` has to come out alike on all of them; `samples_seen` are
    the samples of all, as of the last rung.
    """

    def __init__(
        self,
        metric: str,
        *,
        report: Callable[[Rung], bool],
        resumed: Callable[[tuple[Rung, ...]], None],
        at_epochs: bool,
        n_rungs: int,
        needs_samples: bool = False,
        ranks: Ranks = ALONE,
        second: str | None = None,
    ) -> None:
        self.at_epochs = at_epochs
        self.n_rungs = n_rungs
        self.begun = 0.0
        self.has_trained = False
        self.before_validation: dict[str, Any] | None = None
        self.rungs: list[Rung] = []
        self.n_restored = 0
        self.batches = 0
        self.diverged: str | None = None
        self.stopped = False
        self.holds_last = False
        self.fell_short: str | None = None  # how many batches the loader announced and gave, in words
        self._metrics = Metrics([metric] if second is None else [metric, second], ranks)
        self._samples = SamplesSeen(ranks, is_needed=needs_samples)
        self._losses = Losses(averages=TRAINING_LOSS in (metric, second))
        self._report = report
        self._resumed = resumed
        self._ranks = ranks
        self._restored: dict[str, Any] | None = None
        self._seconds_before = 0.0
        self._saved_at = 0.0
        self._epoch_began_at = 0
        self._validated = False
        self._due: int | None = None
        self.is_held = False
        self._is_read = False

    @property
    def state_key(self) -> str:
        """A name that no callback of a user has."""
        return state_key_of(self)

    @property
    def last_index(self) -> int:
        """The last rung that was reached, 0 before the first."""
        return self.rungs[-1].index if self.rungs else 0

    @property
    def seconds(self) -> float:
        """Time spent in training, that of earlier attempts up to the checkpoint included."""
        return self._seconds_before + time.perf_counter() - self.begun

    @property
    def loss_sum(self) -> float:
        """The sum of the losses of this rank so far; 0 where the module's steps return none."""
        return self._losses.sum

    @property
    def samples_seen(self) -> int | None:
        """The samples that all ranks had seen when they last agreed on it; None where the batches do not tell."""
        return self._samples.total

    def state_dict(self) -> dict[str, Any]:
        """Everything that was counted, as plain values."""
        return {
            "rungs": [[rung.index, rung.value, rung.samples_seen, rung.seconds, rung.second] for rung in self.rungs],
            "samples_seen": self.samples_seen,
            "batches": self.batches,
            **self._losses.state_dict(),
            "epoch_began_at": self._epoch_began_at,
            "validated": self._validated,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.rungs = [Rung(*members) for members in state_dict["rungs"]]
        self.n_restored = len(self.rungs)
        self._samples.total = state_dict["samples_seen"]
        self.batches = state_dict["batches"]
        self._losses.load_state_dict(state_dict)
        self._epoch_began_at = state_dict["epoch_began_at"]
        self._validated = state_dict["validated"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the time: a callback that tries something out saves first, and loads when it is done."""
        self._saved_at = time.perf_counter()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what is to be set before the first batch. Leave out the time that another callback took to try."""
        if KEY in checkpoint:
            self._restored = checkpoint[KEY]
            self._seconds_before = checkpoint[KEY]["seconds"]
        else:
            self.begun += time.perf_counter() - self._saved_at

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on exactly from the checkpoint, if there is one; agree on the time, if there are several ranks."""
        self._ranks.read_clock()
        if self._restored is not None:
            go_on(self._restored, trainer, pl_module, ranks=self._ranks)
            if self.rungs:
                self._metrics.mark(trainer)
            self._resumed(tuple(self.rungs))
        self.has_trained = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell what was reached before, where nothing was left to train."""
        if self._restored is not None and not self.has_trained:
            self._resumed(tuple(self.rungs))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the epoch begins."""
        self._epoch_began_at = self.batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and keep the running sum of the loss: one non-finite loss makes the sum non-finite."""
        self.batches += 1
        self._samples.add(trainer, batch, batch_idx)
        if self._ranks.size == 1:
            self.count()
        self._losses.add(outputs, trainer)
        if self.batches % CHECK_LOSS_EVERY == 0 and self._loss_is_broken():
            trainer.should_stop = True
        if self.at_epochs and batch_idx + 1 == trainer.num_training_batches:
            self.note_random_states()

    def note_random_states(self) -> None:
        """Keep the generators' states as they are before a validation, so that it could be begun anew."""
        self.before_validation = generators.capture()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the metric is fresh."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A rung, where rungs are epochs. It is reached when the module's own hook of this name has run as well."""
        if self._restored is not None:
            settle(trainer)
            self._restored = None
        n_given, n_announced = self.batches - self._epoch_began_at, trainer.num_training_batches
        if not self.at_epochs:
            return
        if math.isinf(n_announced) or n_given >= n_announced:
            self._due = len(self.rungs) + 1
        elif not trainer.is_last_batch and not trainer.should_stop:
            self.fell_short = f"the training loader announced {n_announced} batches and gave {n_given}"

    def count(self) -> int | None:
        """The samples that all ranks have seen so far, None where they are not known; all of them have to call it at
        once."""
        return self._samples.share()

    @property
    def due(self) -> int | None:
        """The rung that will be reached between this batch and the next one."""
        return self._due

    def reach_later(self, index: int) -> None:
        """Reach rung `index` between this batch and the next one."""
        self._due = index

    def between_batches(self, trainer: Trainer) -> None:
        """Reach the rung that is due, now that the module's own hooks have run."""
        if self._due is not None:
            self.reach(self._due, trainer)
        if self._is_read:
            self._metrics.mark(trainer)
            self._is_read = False

    def reach(self, index: int, trainer: Trainer) -> None:
        """Report rung `index`, unless the training has diverged or was stopped, or there is nothing new to report."""
        fresh = self._validated or not trainer.enable_validation
        self._validated, self._due = False, None
        self.count()
        if fresh and not self.stopped and self.last_index < self.n_rungs and not self._loss_is_broken():
            values = self.read(trainer)
            if values is not None:
                rung = Rung(index, values[0], self.samples_seen, self.seconds, *values[1:])
                self.rungs.append(rung)
                self.is_held = self.holds_last and index >= self.n_rungs
                self.stopped = not self.is_held and self._report(rung)
        if self.stopped or self.diverged:
            trainer.should_stop = True

    def read(self, trainer: Trainer) -> list[float] | None:
        """Return the metrics' values; None where none is new, or one is not finite, which is divergence."""
        mean = self._losses.take_mean()
        found = self._metrics.read(trainer, {} if mean is None else {TRAINING_LOSS: mean})
        self._is_read = True
        broken = [f"{name} is {value}" for name, value in (found or {}).items() if not math.isfinite(value)]
        self.diverged = broken[0] if broken else self.diverged
        return None if found is None or broken else list(found.values())

    def tell_last(self) -> None:
        """Report the rung that was held back, with the value that it has by now."""
        if self.is_held and not self.diverged:
            self.stopped = self._report(self.rungs[-1]) or self.stopped
        self.is_held = False

    def _loss_is_broken(self) -> bool:
        if self.diverged is not None:
            return True
        shared = self._ranks.share("loss", not self._losses.are_finite())
        if any(is_broken for (is_broken,) in shared):
            self.diverged = f"the training loss is not finite after {self.batches} batches"
        return self.diverged is not None


def state_key_of(callback: object) -> str:
    """Under which name the state of one of the callbacks above is kept."""
    return f"studies.{type(callback).__name__}"
