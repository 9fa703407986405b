"""A data module as users bring it."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningDataModule):
    """100 points of the line y = 2x + 1."""

    def __init__(self, batch_size: int = 10, num_workers: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.num_workers = num_workers
        x = torch.linspace(-1, 1, 100).unsqueeze(1)
        self.points = TensorDataset(x, 2 * x + 1)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points, batch_size=self.batch_size, shuffle=True, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points, batch_size=self.batch_size)
