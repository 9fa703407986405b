"""The sums of one epoch, kept on the device so that a step never waits for it.

Logging in every step costs about a millisecond in Lightning, several times the step of a small model. So a step only
adds to these sums, which are read once an epoch. Each batch is weighted by its samples, or a short last batch would
count as much as a full one. Single precision counts samples exactly up to 2²⁴, 16 million an epoch and device.
"""

import torch
from torch import Tensor


class Tally:
    """Summed loss, number of correct answers and number of samples since the last reset."""

    __slots__ = ("_correct", "_loss", "_n_samples")

    def __init__(self) -> None:
        self.reset(torch.device("cpu"))

    def reset(self, device: torch.device) -> None:
        """Start again from zero, with the sums on this device."""
        self.go_on(torch.zeros(3), device)

    def go_on(self, sums: Tensor, device: torch.device) -> None:
        """Start again from earlier `sums`, on this device."""
        self._loss, self._correct = (sums[i].to(device, copy=True) for i in (0, 1))
        self._n_samples = int(sums[2])

    def add_loss(self, mean_loss: Tensor, *, n_samples: int) -> None:
        """Add a batch's mean loss (a scalar on the tally's device), weighted by its number of samples."""
        self._loss.add_(mean_loss.detach(), alpha=n_samples)
        self._n_samples += n_samples

    def add_correct(self, n_correct: Tensor) -> None:
        """Add a batch's number of correct answers (a scalar on the tally's device)."""
        self._correct.add_(n_correct)

    def sums(self) -> Tensor:
        """Return [loss, correct, samples], shape (3,). Add up those of all devices before taking a mean."""
        n_samples = torch.full_like(self._loss, self._n_samples)
        return torch.stack((self._loss, self._correct, n_samples))
