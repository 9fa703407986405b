"""Reads the metrics of a module, and tells a new value from an old one that Lightning still holds."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from studies.config.settings import TRAINING_LOSS
from studies.trial.ranks.ranks import TrialRanks
from studies.trial.rungs.real_number import real

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
