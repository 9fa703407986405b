"""A short digest of a training's losses and last weights, to their last digit.

Two trainings with different seeds differ in it from the first random number on. So trials of one point with the same
digest under different seeds are one and the same training, whatever their metrics are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn.parameter import is_lazy

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LENGTH = 16  # hexadecimal digits


def trajectory_of(loss_sums: Sequence[float], module: Module) -> str:
    """Return the digest of a training's `loss_sums`, one a rank, and the weights of its `module`.

    It is empty without a loss and weights: then nothing tells trainings apart.
    """
    sums = [_sum(parameter) for parameter in module.parameters() if not is_lazy(parameter)]
    if not sums and not any(loss_sums):
        return ""
    numbers = repr([*loss_sums, *sums])
    return hashlib.sha256(numbers.encode()).hexdigest()[:LENGTH]


def _sum(parameter: Tensor) -> float:
    real = torch.view_as_real(parameter.detach()) if parameter.is_complex() else parameter.detach()
    return float(real.sum(dtype=torch.float32))
