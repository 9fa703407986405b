"""Modules and callbacks of users that tell ranks apart, and one that needs much memory."""

from __future__ import annotations

import json
import os
import time
import weakref
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from user_modules import Plain

from lightning_modules.loader import TensorLoader


def own_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


class OnOneRank(Plain):
    """Misbehaves on rank `on_rank` alone; logs with `sync_dist` where `sync`; a validation batch takes `val_sleep_s`.

    At its end every rank notes in `notes` what it has been given and what it has come to.
    """

    def __init__(
        self,
        *,
        on_rank: int = 1,
        sync: bool = False,
        val_sleep_s: float = 0.0,
        notes: str | None = None,
        behaviour: str = "good",
        **arguments: Any,
    ) -> None:
        super().__init__(behaviour=behaviour if own_rank() == on_rank else "good", **arguments)
        self.sync, self.val_sleep_s, self.notes = sync, val_sleep_s, notes
        if notes is not None:
            (Path(notes) / f"rank-{own_rank()}.pid").write_text(str(os.getpid()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.behaviour == "exit_0" and self.global_step >= self.at:
            os._exit(0)
        if self.behaviour == "hang" and self.global_step >= self.at:
            self._note("hangs")
            time.sleep(3600)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        if self.val_sleep_s:
            self._note("hangs")
            time.sleep(self.val_sleep_s)
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self.line(x), y), sync_dist=self.sync)

    def _note(self, name: str) -> None:
        if self.notes is not None:
            (Path(self.notes) / name).touch()

    def on_train_end(self) -> None:
        if self.notes is not None:
            (Path(self.notes) / f"rank-{own_rank()}.json").write_text(
                json.dumps(
                    {
                        "lr": self.lr,
                        "weights": [parameter.tolist() for parameter in self.line.parameters()],
                        "steps": self.global_step,
                        "batch_size": self.batch_size,
                        "max_steps": self.trainer.max_steps,
                    }
                )
            )


class SpareParameter(OnOneRank):
    """Has a parameter that no loss depends on, which DDP refuses unless it is told to expect it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.spare = nn.Parameter(torch.zeros(1))


class StopsOneRank(Callback):
    """Ends the training on rank 1 alone."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 7:
            trainer.should_stop = True


class MarksABatch(Callback):
    """Makes the file `path` in batch `at`, and gives the worker the time to see it."""

    def __init__(self, path: str, at: int) -> None:
        self.path, self.left = Path(path), at

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.path.touch()
            time.sleep(1.0)


class NotesTrainingLoss(Callback):
    """Appends to the file `path` which epoch ended with which `train/loss`, as rank 0 shows it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_rank == 0 and "train/loss" in trainer.callback_metrics:
            with self.path.open("a") as file:
                file.write(f"{trainer.current_epoch} {float(trainer.callback_metrics['train/loss'])}\n")


ALIVE: weakref.WeakSet[LightningModule] = weakref.WeakSet()
ALIVE_BEFORE: list[int] = []  # how many modules were there when each one was made


class Hungry(Plain):
    """Runs out of memory in a batch of more than `fits` samples, from step `at` on; with `always`, in any batch."""

    def __init__(self, *, fits: int = 10, by_itself: bool = False, always: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.fits, self.always = fits, always
        self.automatic_optimization = not by_itself
        ALIVE_BEFORE.append(len(ALIVE))
        ALIVE.add(self)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        too_much = len(batch[0]) > self.fits or self.always
        if too_much and self.global_step >= self.at:
            raise torch.OutOfMemoryError(f"CUDA out of memory at {len(batch[0])} samples")
        loss = super().training_step(batch, batch_idx)
        if not self.automatic_optimization:
            self.manual_backward(loss)
            self.optimizers().step()
        return loss

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=False)


class NotesItsDevice(Plain):
    """Notes which device the process was given when the module was made, and whether CUDA was initialised by then."""

    def __init__(self, *, notes: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        Path(notes).write_text(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {torch.cuda.is_initialized()}")


class NotesItsEnd(Callback):
    """Notes the exception that ends the training on each rank; what would save a checkpoint is called there too."""

    def __init__(self, notes: str) -> None:
        self.notes = notes

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        name = Path(self.notes) / f"rank-{trainer.global_rank}.end"
        name.write_text(f"{type(exception).__name__} {trainer.global_step}")


class ValidatesUnequally(OnOneRank):
    """Has more validation batches on rank 0 than on rank 1."""

    def val_dataloader(self) -> Any:
        x = torch.linspace(-1, 1, 12 if own_rank() else 28).unsqueeze(1)
        return TensorLoader(x, 2 * x + 1, batch_size=4, shuffle=False)
