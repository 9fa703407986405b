"""As in self-supervised learning: two views of each sample, several validation loaders, a schedule that ends with the
last epoch, a moving average of the weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from .points import labelled, points


class Contrastive(LightningModule):
    def __init__(self, learning_rate: float = 0.05, temperature: float = 0.5, momentum: float = 0.9) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.student = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
        self.teacher = copy.deepcopy(self.student)
        for parameter in self.teacher.parameters():
            parameter.requires_grad = False

    def loss(self, x: Tensor, views: Tensor) -> Tensor:
        one, other = (nn.functional.normalize(net(v), dim=1) for net, v in ((self.student, x), (self.teacher, views)))
        return nn.functional.cross_entropy(one @ other.T / self.hparams["temperature"], torch.arange(len(x)))

    def training_step(self, batch: dict[str, list[Tensor]], batch_idx: int) -> Tensor:
        x, views = batch["views"]
        loss = self.loss(x, views + 0.05 * torch.randn_like(views))
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        with torch.no_grad():
            for mine, theirs in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                mine.lerp_(theirs, 1 - self.hparams["momentum"])

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("valid_loss", self.loss(batch[0], batch[0] + 0.05))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.student.parameters(), lr=self.hparams["learning_rate"], momentum=0.9)
        assert self.trainer.max_epochs is not None
        assert self.trainer.max_epochs > 0, "the schedule is laid out by epochs"
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.trainer.max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def train_dataloader(self) -> dict[str, DataLoader[Any]]:
        x = points()
        return {"views": DataLoader(TensorDataset(x, x + 0.01), batch_size=16, shuffle=True, drop_last=True)}

    def val_dataloader(self) -> list[DataLoader[Any]]:
        return [DataLoader(labelled(16, seed=seed), batch_size=16) for seed in (1, 2)]
