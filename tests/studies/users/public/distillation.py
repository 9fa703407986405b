"""As in compression: a frozen teacher inside the module, layers built when the Trainer is ready, lazy ones among them,
and a whole module that is compiled by the function that makes it."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .points import measured


class Distilled(LightningModule):
    def __init__(self, lr: float = 0.05, width: int = 4) -> None:
        super().__init__()
        self.lr, self.width = lr, width
        self.teacher = nn.Linear(2, 1).requires_grad_(False)
        self.student: nn.Module | None = None

    def configure_model(self) -> None:
        if self.student is None:
            self.student = nn.Sequential(nn.LazyLinear(self.width), nn.Tanh(), nn.Linear(self.width, 1))
            self.student(torch.zeros(1, 2))

    def loss(self, x: Tensor) -> Tensor:
        assert self.student is not None
        return nn.functional.mse_loss(self.student(x), self.teacher(x))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch[0])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch[0]), on_epoch=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD((p for p in self.parameters() if p.requires_grad), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(), batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(32, seed=1), batch_size=16)


def compiled(**arguments: Any) -> nn.Module:
    module: nn.Module = torch.compile(Distilled(**arguments), backend="eager")
    return module
