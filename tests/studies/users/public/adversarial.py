"""As in collections of generative networks: two optimizers that the module steps itself."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .points import measured


class Adversarial(LightningModule):
    def __init__(self, lr: float = 0.02, latent_dim: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(latent_dim, 8), nn.Tanh(), nn.Linear(8, 2))
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def training_step(self, batch: list[Tensor]) -> None:
        real = batch[0]
        g, d = self.optimizers()
        z = torch.randn(len(real), self.hparams["latent_dim"]).type_as(real)
        self.toggle_optimizer(d)
        d_loss = nn.functional.softplus(-self.critic(real)).mean() + nn.functional.softplus(self.critic(self(z))).mean()
        d.zero_grad()
        self.manual_backward(d_loss)
        d.step()
        self.untoggle_optimizer(d)
        self.toggle_optimizer(g)
        g_loss = nn.functional.softplus(-self.critic(self(z))).mean()
        g.zero_grad()
        self.manual_backward(g_loss)
        g.step()
        self.untoggle_optimizer(g)
        self.log_dict({"g_loss": g_loss, "d_loss": d_loss}, prog_bar=True)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        z = torch.linspace(-1, 1, 32 * self.hparams["latent_dim"]).reshape(32, -1)
        self.log("val_distance", (self(z).mean(0) - batch[0].mean(0)).norm())

    def configure_optimizers(self) -> Any:
        betas = (0.5, 0.999)
        nets = (self.generator, self.critic)
        return [torch.optim.Adam(net.parameters(), lr=self.hparams["lr"], betas=betas) for net in nets], []

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(), batch_size=24, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(measured(24, seed=1), batch_size=24)
