"""Lets the ranks of a trial stop together, whichever of them a callback of the user's has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studies.trial.ranks.ranks import Ranks

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


class StopTogether:
    """The last callback of a trial: where `should_stop` is set on one of the `ranks`, it is set on all.

    A rank that stops alone leaves the others waiting for its gradients. This costs an agreement a batch, so it is added
    only where there are callbacks that may do so.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """After what the other callbacks did."""
        self._agree(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After what the other callbacks did."""
        self._agree(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After what the other callbacks did."""
        self._agree(trainer)

    def _agree(self, trainer: Trainer) -> None:
        shared = self._ranks.share("stop", trainer.should_stop)
        trainer.should_stop = any(stops for (stops,) in shared)
