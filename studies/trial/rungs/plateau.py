"""Schedulers with a validation metric, in a training whose validations are not at the ends of its epochs.

Context: Lightning steps a ReduceLROnPlateau at the end of each epoch and raises where its metric is not there. In a
budget of steps, samples or seconds the validations are the rungs, so an epoch may end before the first one, or between
two. Choice: an epoch without a validation is passed over, so that the patience of a scheduler counts validations. Cost:
a metric that is logged in training and in validation counts as one of the validation. A scheduler with `strict: false`
keeps Lightning's own rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

NEVER = 2**62  # batches or epochs: more than any training has


class MonitoredSchedulers:
    """Decides at the end of each epoch which schedulers step."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._validated: set[str] = set()
        self._has_validated = False
        self._is_fresh = False
        self._written: dict[int, tuple[int, bool]] = {}  # by scheduler: the module's frequency and strict

    def state(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {
            "validated": sorted(self._validated),
            "has_validated": self._has_validated,
            "is_fresh": self._is_fresh,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self._validated = set(state.get("validated", ()))
        self._has_validated = bool(state.get("has_validated", False))
        self._is_fresh = bool(state.get("is_fresh", False))

    def before_validation(self, trainer: Trainer) -> None:
        """Note the metrics that there are."""
        self._before = dict(trainer.callback_metrics)

    def after_validation(self, trainer: Trainer) -> None:
        """Note the metrics that the validation has logged."""
        metrics = trainer.callback_metrics
        self._validated |= {name for name, value in metrics.items() if self._before.get(name) is not value}
        self._has_validated = self._is_fresh = True
        self._before = {}

    def at_epoch_end(self, trainer: Trainer) -> None:
        """Have a scheduler skip this epoch if no validation has logged its metric since the last epoch.

        The metrics of the module's own `on_train_epoch_end` do not exist yet. So before the first validation Lightning
        itself is told to skip a missing metric.
        """
        for number, config in enumerate(trainer.lr_scheduler_configs):
            frequency, is_strict = self._written.setdefault(number, (config.frequency, config.strict))
            if config.reduce_on_plateau and config.interval == "epoch" and is_strict:
                passes_over = config.monitor in self._validated and not self._is_fresh
                config.frequency = NEVER if passes_over else frequency
                config.strict = self._has_validated or not trainer.enable_validation
        self._is_fresh = False
