"""As in collections of variational autoencoders: a dict of losses is returned and logged whole."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .points import measured


class Autoencoder(LightningModule):
    def __init__(self, params: dict[str, Any] | None = None, *, kld_weight: float = 0.05, lr: float = 0.01) -> None:
        super().__init__()
        self.params = {"LR": lr, "kld_weight": kld_weight, "scheduler_gamma": 0.95, **(params or {})}
        self.encoder, self.decoder = nn.Linear(2, 4), nn.Linear(2, 2)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        reconstruction = nn.functional.mse_loss(self.decoder(z), x)
        kld = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
        weight = self.params["kld_weight"] * min(1.0, (self.current_epoch + 1) / 2)
        return {"loss": reconstruction + weight * kld, "reconstruction": reconstruction.detach(), "kld": kld.detach()}

    def training_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        losses = self.losses(batch[0])
        self.log_dict({f"train_{name}": value.item() for name, value in losses.items()}, sync_dist=True)
        return losses

    def validation_step(self, batch: list[Tensor], batch_idx: int, optimizer_idx: int = 0) -> None:
        self.log_dict({f"val_{name}": value.item() for name, value in self.losses(batch[0]).items()}, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.params["LR"])
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, self.params["scheduler_gamma"])]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(), batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(32, seed=1), batch_size=16)
