"""As in speech and audio: the module talks to its logger, asks for its own callbacks, and trains on several lengths."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from .points import points

Row = tuple[str, Tensor, Tensor]


def collate(rows: list[Row]) -> tuple[list[str], Tensor, Tensor]:
    texts, sounds, wanted = zip(*rows, strict=True)
    return list(texts), pad_sequence(list(sounds), batch_first=True), torch.stack(list(wanted))


class Speech(LightningModule):
    def __init__(self, lr: float = 0.02, hidden: int = 4) -> None:
        super().__init__()
        self.lr = lr
        self.encoder, self.head = nn.GRU(1, hidden, batch_first=True), nn.Linear(hidden, 1)

    def loss(self, batch: tuple[list[str], Tensor, Tensor]) -> Tensor:
        texts, sounds, wanted = batch
        assert len(texts) == len(sounds)
        return nn.functional.mse_loss(self.head(self.encoder(sounds)[1][-1]).squeeze(1), wanted)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss, batch_size=len(batch[0]))
        return loss

    def on_train_epoch_end(self) -> None:
        assert self.logger is not None, "this module needs a logger"
        self.logger.log_metrics({"norm": float(sum(p.norm() for p in self.parameters()))}, step=self.global_step)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch), batch_size=len(batch[0]))

    def configure_callbacks(self) -> list[Any]:
        return [EarlyStopping("val_loss", patience=10), ModelCheckpoint(monitor="val_loss", save_top_k=1)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(48, seed=0)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(16, seed=1)

    def _loader(self, n: int, *, seed: int) -> DataLoader[Any]:
        x = points(n * 3, seed=seed).reshape(n, 6, 1)
        rows = [(f"sound {i}", row[: 3 + i % 4], row[:3].sum()) for i, row in enumerate(x)]
        return DataLoader(rows, batch_size=8, shuffle=seed == 0, collate_fn=collate)
