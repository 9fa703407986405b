"""A Lightning Trainer that asks between batches whether to go on."""

from __future__ import annotations

from collections.abc import Callable

import pytorch_lightning as pl


def _told(_trainer: pl.Trainer, stopping: bool) -> bool:
    return stopping


class Trainer(pl.Trainer):
    """A Trainer with a point between two batches, where everything of the one is done and nothing of the other begun.

    `between_batches(trainer, stopping) -> bool` is called there, also after each epoch and between the batches of a
    validation; `stopping` says that Lightning itself was told to stop (SIGTERM). Where it answers True, `fit` raises
    Lightning's SIGTERMException. The name stays Lightning's, which looks for PL_TRAINER_… in the environment by it.
    """

    between_batches: Callable[[pl.Trainer, bool], bool] = staticmethod(_told)

    @property
    def received_sigterm(self) -> bool:
        """Whether to stop here. Lightning has no hook at this point, only this question."""
        return self.between_batches(self, super().received_sigterm)
