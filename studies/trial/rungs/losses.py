"""The losses of a training: whether they are still finite, and their mean since the last rung."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from studies.config.settings import TRAINING_LOSS
from studies.trial.rungs.real_number import refuse_unreal

if TYPE_CHECKING:
    from pytorch_lightning import Trainer


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
