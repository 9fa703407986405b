"""The data of all of them: points of a plane, with what is asked of each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import TensorDataset


def points(n: int = 96, *, seed: int = 0) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def labelled(n: int = 96, *, seed: int = 0) -> TensorDataset:
    """Whether the product of a point's coordinates is positive: 0 or 1."""
    x = points(n, seed=seed)
    return TensorDataset(x, (x.prod(1) > 0).long())


def measured(n: int = 96, *, seed: int = 0) -> TensorDataset:
    """The sum of a point's coordinates, as a column."""
    x = points(n, seed=seed)
    return TensorDataset(x, x.sum(1, keepdim=True))
