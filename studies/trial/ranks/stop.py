"""Stops all ranks of a trial together when a user's callback has stopped one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studies.trial.ranks.ranks import TrialRanks

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


class StopTogether:
    """Sets `should_stop` on all ranks where it is set on one. It has to be the last callback.

    A rank that stops alone leaves the others waiting for its gradients. This costs an agreement a batch, so only trials
    with callbacks in their config have it.
    """

    def __init__(self, ranks: TrialRanks) -> None:
        self._ranks = ranks

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Agree after the other callbacks."""
        self._agree(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree after the other callbacks."""
        self._agree(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree after the other callbacks."""
        self._agree(trainer)

    def _agree(self, trainer: Trainer) -> None:
        shared = self._ranks.share("stop", trainer.should_stop)
        trainer.should_stop = any(stops for (stops,) in shared)
