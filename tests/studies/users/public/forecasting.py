"""As in forecasting: windows of a series, quantile losses chosen by name, a seed of the module's own."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LOSSES = {"mae": lambda errors: errors.abs().mean(), "mse": lambda errors: errors.square().mean()}


class Forecaster(LightningModule):
    def __init__(
        self, input_size: int = 8, h: int = 2, learning_rate: float = 0.01, loss: str = "mae", random_seed: int = 1
    ) -> None:
        super().__init__()
        seed_everything(random_seed, verbose=False)
        self.save_hyperparameters()
        self.network = nn.Sequential(nn.Linear(input_size, 16), nn.ReLU(), nn.Linear(16, h))

    def errors(self, batch: list[Tensor]) -> Tensor:
        return self.network(batch[0]) - batch[1]

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = LOSSES[self.hparams["loss"]](self.errors(batch))
        self.log("train_loss", loss, prog_bar=True, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("ptl/val_loss", LOSSES["mae"](self.errors(batch)))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams["learning_rate"])
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._windows(0, 80)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._windows(80, 110)

    def _windows(self, first: int, last: int) -> DataLoader[Any]:
        series, size, h = torch.arange(120).mul(0.3).sin(), self.hparams["input_size"], self.hparams["h"]
        windows = series[first:last].unfold(0, size + h, 1)
        return DataLoader(TensorDataset(windows[:, :size], windows[:, size:]), batch_size=16, shuffle=first == 0)
