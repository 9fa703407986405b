"""As in segmentation: the area under the curve needs both classes, so a whole validation; the learning rate falls on a
plateau of it; gradients are clipped by the module."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAUROC, BinaryJaccardIndex

from .points import points


class Segmenter(LightningModule):
    def __init__(self, learning_rate: float = 0.1, patience: int = 1, batch_size: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)
        self.scores = MetricCollection({"auc": BinaryAUROC(), "iou": BinaryJaccardIndex()}, prefix="val_")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(self.conv(batch[0]), batch[1])

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.clip_gradients(optimizer, gradient_clip_val=1.0, gradient_clip_algorithm="norm")

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.scores.update(self.conv(batch[0]).flatten().sigmoid(), batch[1].flatten().long())

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.scores.compute())
        self.scores.reset()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams["learning_rate"])
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=self.hparams["patience"])
        return {"optimizer": optimizer, "lr_scheduler": plateau, "monitor": "val_auc"}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(64, seed=0)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(16, seed=1)

    def _loader(self, n: int, *, seed: int) -> DataLoader[Any]:
        signal = points(n * 4, seed=seed).reshape(n, 1, 8)
        masks = (signal > 0).float()
        if seed:  # the first batch of the validation is of one class
            masks[: self.hparams["batch_size"]] = 0.0
        return DataLoader(TensorDataset(signal, masks), batch_size=self.hparams["batch_size"], shuffle=seed == 0)
