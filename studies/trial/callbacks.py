"""Callbacks of a trial, one class a job. They take plain callables and know nothing of Optuna.

They are plain classes: `studies.trial.package` gives them the base of the Lightning package that a trial uses.

Lightning walks through all callbacks six times a step, which costs more than what most of them do; so there is one
callback that every trial has (`Rungs`), and the others are added only where a setting asks for them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from studies.settings import TRAINING_LOSS
from studies.trial import generators
from studies.trial.ranks.ranks import ALONE, Ranks
from studies.trial.resuming import KEY, go_on, settle

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

log = logging.getLogger(__name__)
CHECK_LOSS_EVERY = 100  # batches between looks at the loss: each look waits for the device


@dataclass(frozen=True, slots=True)
class Rung:
    """What a trial shows at an equal fraction of its budget. `index` counts from 1; `seconds` are those of training up
    to there, validation included; `second` is the value of the second metric, where there is one that the module logs.
    """

    index: int
    value: float
    samples_seen: int
    seconds: float = field(compare=False)  # the same rung reached again is the same
    second: float | None = None


class MetricMissing(Exception):
    """The module never logged the metric `missing` that the study optimises; `logged` are those that it did, and
    `validates` says whether there was a validation to log it in."""

    def __init__(self, missing: str, logged: Sequence[str], *, validates: bool = True) -> None:
        why = f"the module never logged {missing}"
        if missing == TRAINING_LOSS:
            why = "training_step returned no loss that could be averaged"
        super().__init__(
            f"{why}; by the end of the rung it had logged: "
            f"{', '.join(logged) or 'nothing'} (what a module logs in its own on_train_epoch_end comes too late)"
        )
        self.missing = missing
        self.logged = tuple(logged)
        self.validates = validates

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), validates=self.validates), (self.missing, self.logged)


class Interrupted(BaseException):
    """A person or a signal wants the trial to end; not an error of the trial."""


class Rungs:
    """Reports the metric at each rung, stops the training where told to or where the loss is no longer finite.

    `report(rung) -> bool` is called once a rung and says whether to stop; `resumed(rungs)` is called once, where the
    training goes on from a checkpoint, with the rungs that it had reached. Only a whole epoch with its validation is a
    rung: what another callback cuts short, or a skipped validation, is not reported.

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
        ranks: Ranks = ALONE,
        second: str | None = None,
    ) -> None:
        self.metric = metric
        self.second = second
        self.at_epochs = at_epochs
        self.begun = 0.0
        self.has_trained = False
        self.before_validation: dict[str, Any] | None = None
        self.rungs: list[Rung] = []
        self.n_restored = 0
        self.samples_seen = 0
        self.batches = 0
        self.diverged: str | None = None
        self.stopped = False
        self._report = report
        self._resumed = resumed
        self._ranks = ranks
        self._restored: dict[str, Any] | None = None
        self._seconds_before = 0.0
        self._uncounted = 0  # this rank's samples that the others have not been told of
        self._loss_sum: torch.Tensor | float = 0.0
        self._averages_loss = TRAINING_LOSS in (metric, second)
        self._losses: torch.Tensor | float = 0.0  # those since the last rung, and their number
        self._n_losses = 0
        self._epoch_began_at = 0
        self._validated = False
        self._told_of_shares = False

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
        return float(self._loss_sum)

    def state_dict(self) -> dict[str, Any]:
        """Everything that was counted, as plain values."""
        return {
            "rungs": [[rung.index, rung.value, rung.samples_seen, rung.seconds, rung.second] for rung in self.rungs],
            "samples_seen": self.samples_seen,
            "batches": self.batches,
            "loss_sum": float(self._loss_sum),
            "losses": [float(self._losses), self._n_losses],
            "epoch_began_at": self._epoch_began_at,
            "validated": self._validated,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.rungs = [Rung(*members) for members in state_dict["rungs"]]
        self.n_restored = len(self.rungs)
        self.samples_seen = state_dict["samples_seen"]
        self.batches = state_dict["batches"]
        self._loss_sum = state_dict["loss_sum"]
        self._losses, self._n_losses = state_dict.get("losses", (0.0, 0))
        self._epoch_began_at = state_dict["epoch_began_at"]
        self._validated = state_dict["validated"]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what is to be set before the first batch."""
        self._restored = checkpoint[KEY]
        self._seconds_before = checkpoint[KEY]["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on exactly from the checkpoint, if there is one; agree on the time, if there are several ranks."""
        self._ranks.read_clock()
        if self._restored is not None:
            go_on(self._restored, trainer, pl_module, ranks=self._ranks)
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
        self._uncounted += n_samples(batch)
        if self._ranks.size == 1:
            self.count()
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            self._loss_sum = loss.detach().sum(dtype=torch.float32) + self._loss_sum
            if self._averages_loss:
                self._add_loss(loss, trainer)
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
        """A rung, where rungs are epochs."""
        if self._restored is not None:
            settle(trainer)
            self._restored = None
        whole = math.isinf(trainer.num_training_batches) or (
            self.batches - self._epoch_began_at >= trainer.num_training_batches
        )
        if self.at_epochs and whole:
            self.reach(len(self.rungs) + 1, trainer)

    def count(self) -> int:
        """The samples that all ranks have seen so far; all of them have to call it at once."""
        own, self._uncounted = self._uncounted, 0
        self.samples_seen += sum(int(samples) for (samples,) in self._ranks.share("samples", own))
        return self.samples_seen

    def reach(self, index: int, trainer: Trainer) -> None:
        """Report rung `index`, unless the training has diverged or was stopped, or there is nothing new to report."""
        fresh = self._validated or not trainer.enable_validation
        self._validated = False
        self.count()
        if fresh and not self.stopped and not self._loss_is_broken():
            names = [self.metric] if self.second is None else [self.metric, self.second]
            values = {name: self._value(trainer, name) for name in names}
            self._losses, self._n_losses = 0.0, 0
            broken = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
            if not broken:
                second = values.get(self.second or "")
                rung = Rung(index, values[self.metric], self.samples_seen, self.seconds, second)
                self.rungs.append(rung)
                self.stopped = self._report(rung)
            else:
                self.diverged = broken[0]
        if self.stopped or self.diverged:
            trainer.should_stop = True

    def _add_loss(self, loss: torch.Tensor, trainer: Trainer) -> None:
        """Keep a loss for the mean of this rung, as the module returned it: Lightning divides those of one step."""
        divided_by = trainer.accumulate_grad_batches if trainer.lightning_module.automatic_optimization else 1
        self._losses = loss.detach().mean(dtype=torch.float32) * divided_by + self._losses
        self._n_losses += 1

    def _value(self, trainer: Trainer, metric: str) -> float:
        own = trainer.callback_metrics.get(metric)
        if own is None and metric == TRAINING_LOSS and self._n_losses:
            own = torch.as_tensor(self._losses / self._n_losses)
        shared = self._ranks.share("rung", *((0.0, False) if own is None else (float(own), True)))
        values = [value for value, is_logged in shared if is_logged]
        if not values:
            raise MetricMissing(metric, sorted(trainer.callback_metrics), validates=bool(trainer.enable_validation))
        return self._agreed(metric, values)

    def _agreed(self, metric: str, values: list[float]) -> float:
        """One value out of one a rank: a module that logs without `sync_dist` shows each rank its own share of the
        data; the mean of the shares is what `sync_dist` gives."""
        if len(set(values)) == 1:
            return values[0]
        mean = sum(values) / len(values)
        tells = metric != TRAINING_LOSS and not self._told_of_shares and self._ranks.rank == 0
        if math.isfinite(mean) and tells:
            shown = ", ".join(f"{value:.6g}" for value in values)
            log.warning("%s differs between ranks (%s): their mean counts; log it with sync_dist=True", metric, shown)
        self._told_of_shares = True
        return mean

    def _loss_is_broken(self) -> bool:
        if self.diverged is not None:
            return True
        shared = self._ranks.share("loss", not math.isfinite(float(self._loss_sum)))
        if any(is_broken for (is_broken,) in shared):
            self.diverged = f"the training loss is not finite after {self.batches} batches"
        return self.diverged is not None


def state_key_of(callback: object) -> str:
    """Under which name the state of one of the callbacks above is kept."""
    return f"studies.{type(callback).__name__}"


def n_samples(batch: Any) -> int:
    """The number of samples in a batch: the first dimension of the first tensor found in it; 1 where there is none."""
    if isinstance(batch, torch.Tensor):
        return batch.shape[0] if batch.ndim else 1
    members = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return next((n_samples(member) for member in members if isinstance(member, torch.Tensor | dict | list | tuple)), 1)
