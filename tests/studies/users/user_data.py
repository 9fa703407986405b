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


class Labelled(LightningDataModule):
    """Points with labels, whose number of classes is known once they are set up. `calls` tells what was called."""

    def __init__(self, n_kinds: int = 3, batch_size: int = 10, label: str = "kind") -> None:
        super().__init__()
        self.n_kinds, self.batch_size, self.label = n_kinds, batch_size, label
        self.calls: list[str] = []
        self.folder = None

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.calls.append(stage)
        x = torch.linspace(-1, 1, 30 * self.n_kinds).unsqueeze(1)
        self.points = TensorDataset(x, torch.arange(30 * self.n_kinds) % self.n_kinds)
        self.n_classes = torch.tensor(self.n_kinds)
        self.shape = (1, self.n_kinds)

    @property
    def names(self) -> list[str]:
        return [f"{self.label} {i}" for i in range(self.n_kinds)]

    @property
    def broken(self) -> int:
        raise ValueError("it is broken")

    def count(self) -> int:
        return self.n_kinds

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points, batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        return self.val_dataloader()


class NeedsItsTrainer(Labelled):
    """Asks for the number of devices while it is set up."""

    def setup(self, stage: str) -> None:
        self.per_device = self.batch_size // self.trainer.world_size
        super().setup(stage)
