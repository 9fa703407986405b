"""The metrics and losses of a training.

A new value of a metric is told from an old one that Lightning still holds.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from studies.config.settings import TRAINING_LOSS
from studies.trial.ranks.agreement import TrialRanks
from studies.trial.rungs.real_number import real, refuse_unreal

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

log = logging.getLogger(__name__)


class MetricMissing(Exception):
    """The module never logged the study's metric `missing`. `logged` are its other metrics.

    `validates`: there was a validation to log it in.
    """

    def __init__(self, missing: str, logged: Sequence[str], *, validates: bool = True) -> None:
        why = f"the module never logged {missing}"
        if missing == TRAINING_LOSS:
            why = "training_step returned no loss that could be averaged"
        super().__init__(f"{why}; by the end of the rung it had logged: {', '.join(logged) or 'nothing'}")
        self.missing = missing
        self.logged = tuple(logged)
        self.validates = validates

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), validates=self.validates), (self.missing, self.logged)


class Metrics:
    """The metrics `names` of one training. The first one decides whether there is a new value.

    Lightning keeps the last value of each metric. So a value is replaced by a copy once it was read. Another object in
    its place means that the module has logged the metric again.
    """

    def __init__(self, names: Sequence[str], ranks: TrialRanks) -> None:
        self._names = tuple(names)
        self._ranks = ranks
        self._known: Any = None
        self._was_read = False
        self._has_warned = False

    def read(self, trainer: Trainer, averaged: Mapping[str, float]) -> dict[str, float] | None:
        """Return the value of each metric, or its `averaged` one where the module does not log it.

        None if the first metric is not new. Raises `MetricMissing` for a metric without any value, `NotReal` for one
        that is no real number.
        """
        own = trainer.callback_metrics.get(self._names[0], averaged.get(self._names[0]))
        is_new = own is not None and own is not self._known
        shared = self._ranks.share("fresh", is_new)
        if self._was_read and not any(new for (new,) in shared):
            return None
        self._was_read = True
        return {name: self._value(trainer, name, averaged.get(name)) for name in self._names}

    def mark(self, trainer: Trainer) -> None:
        """Take the present value as read. To be called once Lightning has closed its results."""
        metrics: dict[str, Any] = trainer.callback_metrics
        self._was_read = True
        if self._names[0] in metrics:
            self._known = metrics[self._names[0]] = metrics[self._names[0]].clone()

    def _value(self, trainer: Trainer, name: str, averaged: float | None) -> float:
        own = trainer.callback_metrics.get(name, averaged)
        shared = self._ranks.share("rung", *((0.0, False) if own is None else (real(name, own), True)))
        values = [value for value, is_logged in shared if is_logged]
        if not values:
            raise MetricMissing(name, sorted(trainer.callback_metrics), validates=bool(trainer.enable_validation))
        return self._agreed(name, values)

    def _agreed(self, name: str, values: list[float]) -> float:
        """Return one value out of one a rank: their mean, as `sync_dist` gives it, where they differ.

        Without `sync_dist` each rank logs the value of its own share of the data.
        """
        if len(set(values)) == 1:
            return values[0]
        mean = sum(values) / len(values)
        warns = name != TRAINING_LOSS and not self._has_warned and self._ranks.rank == 0
        if math.isfinite(mean) and warns:
            shown = ", ".join(f"{value:.6g}" for value in values)
            log.warning("%s differs between ranks (%s): their mean counts; log it with sync_dist=True", name, shown)
        self._has_warned = True
        return mean


class Losses:
    """Sums the losses on their device, because reading one waits for the device. One non-finite loss makes the sum
    non-finite.

    With `averages` their mean is kept as well.
    """

    def __init__(self, *, averages: bool) -> None:
        self._averages = averages
        self._sum: torch.Tensor | float = 0.0
        self._recent: torch.Tensor | float = 0.0  # those since the last rung, and their number
        self._n_recent = 0

    @property
    def sum(self) -> float:
        """Return the sum of all losses so far, 0 where the module's steps return none."""
        return float(self._sum)

    def add(self, outputs: Any, trainer: Trainer) -> None:
        """Add the loss in what a training step returned, if there is one."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if not isinstance(loss, torch.Tensor):
            return
        if loss.is_complex():  # of a module that steps its optimizers itself
            if self._averages:
                refuse_unreal(TRAINING_LOSS, loss.sum())
            loss = torch.view_as_real(loss)
        self._sum = loss.detach().sum(dtype=torch.float32) + self._sum
        if self._averages:  # as the module returned it: Lightning divides the losses of one step
            divided_by = trainer.accumulate_grad_batches if trainer.lightning_module.automatic_optimization else 1
            self._recent = loss.detach().mean(dtype=torch.float32) * divided_by + self._recent
            self._n_recent += 1

    def are_finite(self) -> bool:
        """Return whether all losses so far are finite."""
        return math.isfinite(self.sum)

    def take_mean(self) -> float | None:
        """Return the mean of the losses since the last call, None where there are none."""
        recent, n_recent = self._recent, self._n_recent
        self._recent, self._n_recent = 0.0, 0
        return float(recent / n_recent) if n_recent else None

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as plain values."""
        return {"loss_sum": self.sum, "losses": [float(self._recent), self._n_recent]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from saved sums."""
        self._sum = state_dict["loss_sum"]
        self._recent, self._n_recent = state_dict.get("losses", (0.0, 0))
