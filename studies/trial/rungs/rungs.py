"""The callback that every trial has. It takes plain callables and knows nothing of Optuna.

Our callbacks are plain classes. `studies.trial.building.package` gives them the base class of the trial's Lightning
package.

Lightning walks through all callbacks six times a step, and the walk costs more than most callbacks do. So every trial
has only `Rungs`, and the others are added where a setting asks for them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studies.config.budget import Budget
from studies.config.settings import TRAINING_LOSS
from studies.trial.checkpoints.resuming import KEY, capture_generators, end_restart, restore_state
from studies.trial.ranks.agreement import ALONE, TrialRanks
from studies.trial.rungs.metrics import Losses, Metrics
from studies.trial.rungs.metrics import MetricMissing as MetricMissing
from studies.trial.rungs.samples import SamplesSeen

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

CHECK_LOSS_EVERY = 100  # batches between looks at the loss: each look waits for the device


@dataclass(frozen=True, slots=True)
class Rung:
    """The metric of a trial at an equal fraction of its budget."""

    index: int  # from 1
    value: float
    samples_seen: int | None  # None where the batches do not tell
    seconds: float = field(compare=False)  # of training until here, validation included; ignored by ==
    second: float | None = None  # value of the second logged metric


class Interrupted(BaseException):
    """A person or a signal wants the trial to end. It is not an error of the trial."""


class KeepsState:
    """A callback with a state in the checkpoints, under a key that no callback of a user has."""

    @property
    def state_key(self) -> str:
        """Return the key of the state."""
        return f"studies.{type(self).__name__}"


class Rungs(KeepsState):
    """Reports the metric at each rung, and stops the training where it is told to or the loss is not finite.

    `report(rung) -> bool` is called once a rung and says whether to stop. With `holds_last` the last rung waits
    for `tell_last`, because a callback may change the weights after it. `resumed(rungs)` is called once where the
    training resumes from a checkpoint, with the rungs reached before.

    Only a whole epoch with its validation is a rung. An epoch cut short by a callback is none, nor is one with a
    skipped validation, or without a new metric.

    In a budget of samples a batch of unknown size raises `SamplesUnknown`. In another one, samples are not counted from
    then on.

    Where several `ranks` train the trial together, `report` has to give the same answer on all of them. `samples_seen`
    counts the samples of all ranks, as of the last rung.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        budget: Budget,
        *,
        report: Callable[[Rung], bool],
        resumed: Callable[[tuple[Rung, ...]], None],
        ranks: TrialRanks = ALONE,
    ) -> None:
        self.budget = budget
        self.ranks = ranks
        self.at_epochs = budget.unit == "epochs"
        self.begun = 0.0
        self.has_trained = False
        self.before_validation: dict[str, Any] | None = None
        self.rungs: list[Rung] = []
        self.n_restored = 0
        self.batches = 0
        self.diverged: str | None = None
        self.stopped = False
        self.holds_last = False
        self.is_held = False
        self.due: int | None = None  # the rung to reach between this batch and the next one
        self.fell_short: str | None = None  # how many batches the loader announced and gave, in words
        self._metrics = Metrics(metrics, ranks)
        self._samples = SamplesSeen(ranks, is_needed=budget.unit == "samples")
        self._losses = Losses(averages=TRAINING_LOSS in metrics)
        self._report = report
        self._resumed = resumed
        self._restored: dict[str, Any] | None = None
        self._seconds_before = 0.0
        self._saved_at = 0.0
        self._epoch_began_at = 0
        self._validated = False
        self._is_read = False

    @property
    def last_index(self) -> int:
        """Return the last rung that was reached, 0 before the first."""
        return self.rungs[-1].index if self.rungs else 0

    @property
    def seconds(self) -> float:
        """Return the seconds spent in training. Those of earlier attempts count up to their checkpoint."""
        return self._seconds_before + time.perf_counter() - self.begun

    @property
    def loss_sum(self) -> float:
        """Return the sum of this rank's losses so far, 0 where the module's steps return none."""
        return self._losses.sum

    @property
    def samples_seen(self) -> int | None:
        """Return the samples of all ranks, as of the last common count. None where batches do not tell their size."""
        return self._samples.total

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was counted, as plain values."""
        return {
            "rungs": [[rung.index, rung.value, rung.samples_seen, rung.seconds, rung.second] for rung in self.rungs],
            "samples_seen": self.samples_seen,
            "batches": self.batches,
            **self._losses.state_dict(),
            "epoch_began_at": self._epoch_began_at,
            "validated": self._validated,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue to count from a saved state."""
        self.rungs = [Rung(*members) for members in state_dict["rungs"]]
        self.n_restored = len(self.rungs)
        self._samples.total = state_dict["samples_seen"]
        self.batches = state_dict["batches"]
        self._losses.load_state_dict(state_dict)
        self._epoch_began_at = state_dict["epoch_began_at"]
        self._validated = state_dict["validated"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the time: a callback that tries something out saves before it, and loads after it."""
        self._saved_at = time.perf_counter()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the state that has to be set before the first batch. Leave out the time of another callback's tries."""
        if KEY in checkpoint:
            self._restored = checkpoint[KEY]
            self._seconds_before = checkpoint[KEY]["seconds"]
        else:
            self.begun += time.perf_counter() - self._saved_at

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the state of a checkpoint, if there is one. Agree on the time with the other ranks."""
        self.ranks.read_clock()
        if self._restored is not None:
            restore_state(self._restored, trainer, pl_module, ranks=self.ranks)
            if self.rungs:
                self._metrics.mark(trainer)
            self._resumed(tuple(self.rungs))
        self.has_trained = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the rungs of the checkpoint where nothing was left to train."""
        if self._restored is not None and not self.has_trained:
            self._resumed(tuple(self.rungs))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the epoch begins."""
        self._epoch_began_at = self.batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch and add its loss to the running sum. One non-finite loss makes the sum non-finite."""
        self.batches += 1
        self._samples.add(trainer, batch, batch_idx)
        if self.ranks.size == 1:
            self.count()
        self._losses.add(outputs, trainer)
        if self.batches % CHECK_LOSS_EVERY == 0 and self._loss_is_broken():
            trainer.should_stop = True
        if self.at_epochs and batch_idx + 1 == trainer.num_training_batches:
            self.note_random_states()

    def note_random_states(self) -> None:
        """Keep the states of the random generators before a validation, so that it can be repeated."""
        self.before_validation = capture_generators()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the metric is fresh."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note a rung where rungs are epochs. It is reached once the module's own hook of this name has run as well."""
        if self._restored is not None:
            end_restart(trainer)
            self._restored = None
        n_given, n_announced = self.batches - self._epoch_began_at, trainer.num_training_batches
        if not self.at_epochs:
            return
        if math.isinf(n_announced) or n_given >= n_announced:
            self.due = len(self.rungs) + 1
        elif not trainer.is_last_batch and not trainer.should_stop:
            self.fell_short = f"the training loader announced {n_announced} batches and gave {n_given}"

    def count(self) -> int | None:
        """Return the samples of all ranks so far, None if unknown. All ranks have to call it at once."""
        return self._samples.share()

    def between_batches(self, trainer: Trainer) -> None:
        """Reach the rung that is due. The module's own hooks have run by now."""
        if self.due is not None:
            self.reach(self.due, trainer)
        if self._is_read:
            self._metrics.mark(trainer)
            self._is_read = False

    def reach(self, index: int, trainer: Trainer) -> None:
        """Report rung `index`, unless the training has diverged or was stopped, or there is nothing new to report."""
        fresh = self._validated or not trainer.enable_validation
        self._validated, self.due = False, None
        self.count()
        if fresh and not self.stopped and self.last_index < self.budget.rungs and not self._loss_is_broken():
            values = self.read(trainer)
            if values is not None:
                rung = Rung(index, values[0], self.samples_seen, self.seconds, *values[1:])
                self.rungs.append(rung)
                self.is_held = self.holds_last and index >= self.budget.rungs
                self.stopped = not self.is_held and self._report(rung)
        if self.stopped or self.diverged:
            trainer.should_stop = True

    def read(self, trainer: Trainer) -> list[float] | None:
        """Return the values of the metrics, None if none is new or one is not finite. That counts as divergence."""
        mean = self._losses.take_mean()
        found = self._metrics.read(trainer, {} if mean is None else {TRAINING_LOSS: mean})
        self._is_read = True
        broken = [f"{name} is {value}" for name, value in (found or {}).items() if not math.isfinite(value)]
        self.diverged = broken[0] if broken else self.diverged
        return None if found is None or broken else list(found.values())

    def tell_last(self) -> None:
        """Report the rung that was held back, with its present value."""
        if self.is_held and not self.diverged:
            self.stopped = self._report(self.rungs[-1]) or self.stopped
        self.is_held = False

    def _loss_is_broken(self) -> bool:
        if self.diverged is not None:
            return True
        shared = self.ranks.share("loss", not self._losses.are_finite())
        if any(is_broken for (is_broken,) in shared):
            self.diverged = f"the training loss is not finite after {self.batches} batches"
        return self.diverged is not None
