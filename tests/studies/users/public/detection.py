"""As in object detection: batches are two tuples, of images and of dicts of targets; the score needs a whole epoch."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .points import points

Row = tuple[Tensor, dict[str, Tensor]]


class Boxes(Dataset[Row]):
    """Each image has one bright pixel, whose column is asked for."""

    def __init__(self, n: int, *, seed: int = 0) -> None:
        self.columns = ((points(n, seed=seed)[:, 0] > 0).long() * 3).tolist()

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, index: int) -> Row:
        image = torch.zeros(1, 4, 4)
        image[0, 1, self.columns[index]] = 1.0
        return image, {"boxes": torch.tensor([[float(self.columns[index]), 1.0]]), "labels": torch.ones(1).long()}


def collate(rows: list[Row]) -> tuple[Any, ...]:
    return tuple(zip(*rows, strict=True))


class Detector(LightningModule):
    def __init__(self, lr: float = 0.05) -> None:
        super().__init__()
        self.lr = lr
        self.head = nn.Linear(16, 2)
        self.found: list[Tensor] = []

    def errors(self, batch: Any) -> Tensor:
        images, targets = batch
        wanted = torch.stack([target["boxes"][0] for target in targets])
        return (self.head(torch.stack(list(images)).flatten(1)) - wanted).square().mean(1)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        loss = self.errors(batch).mean()
        self.log("train_loss", loss, batch_size=len(batch[0]))
        return {"loss": loss}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.found.append(self.errors(batch))

    def on_validation_epoch_end(self) -> None:
        errors = torch.cat(self.found)
        if len(errors) < 24:
            raise ValueError(f"a score over {len(errors)} of 24 images means nothing")
        self.log("val_map", (errors < 0.5).float().mean())
        self.found.clear()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Boxes(48), batch_size=8, shuffle=True, collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Boxes(24, seed=1), batch_size=8, collate_fn=collate)
