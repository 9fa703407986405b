"""Modules of users whose schedules, scores and hooks look at the whole training, and not at one batch of it."""

from __future__ import annotations

import time
from typing import Any

import torch
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LambdaLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset
from user_modules import Plain


class LaidOut(Plain):
    """Lays its schedule out over the steps that the Trainer tells, as Lightning's manual shows it."""

    def __init__(self, kind: str = "warmup", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.kind = kind

    def configure_optimizers(self) -> Any:
        optimizer, total = torch.optim.SGD(self.parameters(), lr=self.lr), int(self.trainer.estimated_stepping_batches)
        warm = int(0.1 * total)
        made = {
            "warmup": lambda: LambdaLR(optimizer, lambda step: min(1.0, step / warm)),
            "restarts": lambda: CosineAnnealingWarmRestarts(optimizer, T_0=int(0.25 * total)),
            "one_cycle": lambda: OneCycleLR(optimizer, max_lr=self.lr, total_steps=total),
        }
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": made[self.kind](), "interval": "step"}}


class Expects(Plain):
    """Fails unless the Trainer has the limits of the trial: `limits` maps the Trainer's attributes to their values."""

    def __init__(self, limits: dict[str, float], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.limits = limits

    def on_train_epoch_end(self) -> None:
        found = {name: getattr(self.trainer, name) for name in self.limits}
        if found != self.limits:
            raise ValueError(f"{found}")


class Plateau(Plain):
    """Lowers its learning rate where `monitor` has not fallen for more than `patience` of its looks; `notes` has one
    entry for each look."""

    def __init__(self, monitor: str = "val_loss", patience: int = 1, **arguments: Any) -> None:
        scheduling = {name: arguments.pop(name) for name in ("interval", "frequency", "strict") if name in arguments}
        super().__init__(**arguments)
        self.monitor, self.patience, self.scheduling = monitor, patience, scheduling
        self.notes: list[tuple[int, float]] = []

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        scheduler = ReduceLROnPlateau(optimizer, patience=self.patience)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": self.monitor, **self.scheduling},
        }

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        self.notes.append((self.global_step, round(float(metric), 6)))
        super().lr_scheduler_step(scheduler, metric)

    def on_train_epoch_end(self) -> None:
        self.log("at_the_end", float(self.current_epoch))


class NeedsLogger(Plain):
    """Logs past Lightning, to the logger that it has."""

    def on_train_epoch_end(self) -> None:
        self.logger.log_metrics({"mine": 1.0}, step=self.global_step)


class TwoClasses(Plain):
    """Scores the whole validation at its end, and fails where it has not seen both halves of the line."""

    def on_validation_epoch_start(self) -> None:
        self.seen: list[Tensor] = []

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.seen.append(batch[0])
        super().validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        above = torch.cat(self.seen) > 0
        if above.all() or not above.any():
            raise ValueError("only one class is present")
        self.log("score", above.float().mean())


class ReadsValidation(Plain):
    """Reads a metric of the validation at the end of each epoch."""

    def on_train_epoch_end(self) -> None:
        self.last = self.trainer.callback_metrics["val_loss"]


class Empty(Plain):
    """Has a loader without a batch: that of `part`."""

    def __init__(self, part: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.part = part

    def train_dataloader(self) -> DataLoader[Any]:
        x = torch.linspace(-1, 1, 4).unsqueeze(1)
        kept = TensorDataset(x, 2 * x + 1)
        return DataLoader(kept, batch_size=8, drop_last=True) if self.part == "train" else super().train_dataloader()

    def val_dataloader(self) -> DataLoader[Any]:
        none = TensorDataset(torch.zeros(0, 1), torch.zeros(0, 1))
        return DataLoader(none, batch_size=8) if self.part == "val" else super().val_dataloader()


class FailsInItsTest(Plain):
    """Can be tested, but for a mistake in its test_step."""

    def test_dataloader(self) -> DataLoader[Any]:
        return super().val_dataloader()

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test_loss", nn.functional.mse_loss(self.line(batch[0]), batch[2]))


class Hangs(Plain):
    """Waits for an hour in its first batch."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        time.sleep(3600)
        raise AssertionError("nobody waits for this")


class StopsAtOnce(Callback):
    """Ends each training before its first batch has ended."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        trainer.should_stop = True


class CannotBeBuilt:
    """A logger whose constructor fails."""

    def __init__(self, save_dir: str) -> None:
        raise ConnectionError("no server answers")
