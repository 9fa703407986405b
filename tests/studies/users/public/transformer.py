"""As in fine-tuning scripts of language models: batches are a tokenizer's mappings, decay spares biases, and a linear
warm-up is laid out by the number of steps that the Trainer expects."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .points import labelled


class Encoding(UserDict[str, Any]):
    """What tokenizers return: a mapping that is no dict, and moves its tensors itself."""

    def to(self, device: Any) -> Encoding:
        return Encoding({name: value.to(device) for name, value in self.items()})


def collate(rows: list[tuple[Tensor, Tensor]]) -> Encoding:
    words = torch.stack([(x * 10).long().clamp(-20, 20) + 20 for x, _ in rows])
    return Encoding(input_ids=words, attention_mask=torch.ones_like(words), labels=torch.stack([y for _, y in rows]))


class FineTuned(LightningModule):
    def __init__(
        self, learning_rate: float = 0.02, warmup_share: float = 0.1, weight_decay: float = 0.01, batch_size: int = 16
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.embedding = nn.Embedding(41, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(self.embedding(input_ids), src_key_padding_mask=attention_mask == 0)
        logits = self.head(hidden.mean(1))
        return nn.functional.cross_entropy(logits, labels), logits

    def training_step(self, batch: Encoding, batch_idx: int) -> Tensor:
        loss, _ = self(**batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Encoding, batch_idx: int) -> None:
        loss, logits = self(**batch)
        self.log("val_loss", loss, prog_bar=True)
        self.log("val_accuracy", (logits.argmax(1) == batch["labels"]).float().mean())

    def configure_optimizers(self) -> Any:
        spared = [p for name, p in self.named_parameters() if name.endswith("bias")]
        decayed = [p for name, p in self.named_parameters() if not name.endswith("bias")]
        groups = [{"params": decayed, "weight_decay": self.hparams["weight_decay"]}, {"params": spared}]
        optimizer = torch.optim.AdamW(groups, lr=self.hparams["learning_rate"], weight_decay=0.0)
        total = self.trainer.estimated_stepping_batches
        warm = int(self.hparams["warmup_share"] * total)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda k: k / warm if k < warm else (total - k) / (total - warm)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step", "frequency": 1}]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(labelled(160), batch_size=self.hparams["batch_size"], shuffle=True, collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(labelled(32, seed=1), batch_size=self.hparams["batch_size"], collate_fn=collate)
