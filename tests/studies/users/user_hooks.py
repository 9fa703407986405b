"""Modules and callbacks of users that rely on Lightning's own hooks and order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import LearningRateFinder, ModelCheckpoint
from pytorch_lightning.utilities import CombinedLoader
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from user_modules import Plain, WithoutValidation


class Tested(Plain):
    """A line with a test part."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.mse_loss(self.line(batch[0]), batch[1])  # a compiled one cannot log

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test_loss", nn.functional.mse_loss(self.line(batch[0]), batch[1]))

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=False)


def compiled(**arguments: Any) -> Any:
    """Build a module that `torch.compile` has wrapped."""
    return torch.compile(Tested(**arguments), backend="eager")


class WithBatchNorm(Plain):
    """Has statistics that averaged weights need anew."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.line = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))  # type: ignore[assignment]


class LogsInItsHook(Plain):
    """Logs its metric where an epoch of training ends."""

    def on_train_epoch_end(self) -> None:
        self.log("epoch_number", float(self.current_epoch + 1))


class LogsInItsHookAlone(WithoutValidation):
    """Logs its metric where an epoch of training ends, and has no validation."""

    def __init__(self, **swallowed: Any) -> None:
        super().__init__()

    def on_train_epoch_end(self) -> None:
        self.log("epoch_number", float(self.current_epoch + 1))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(100, 1)), batch_size=10)


class WritesAfterValidation(Plain):
    """Writes its metric into the Trainer's own table, in the hook after a validation."""

    def on_validation_end(self) -> None:
        self.trainer.callback_metrics["n_steps"] = torch.tensor(float(self.trainer.global_step))


class Combined(Plain):
    """Trains on two loaders that Lightning combines."""

    def train_dataloader(self) -> Any:
        return CombinedLoader([self._loader(shuffle=True), self._loader(shuffle=True)], "min_size")

    def training_step(self, batch: list[Any], batch_idx: int) -> Tensor:
        return super().training_step(batch[0], batch_idx)


class LogsEverySecondEpoch(Plain):
    """Logs its metric in epochs 1, 3, 5."""

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        if self.current_epoch % 2 == 0:
            self.log("seldom", float(self.current_epoch + 1))


class LogsAfterItsBatch(WithoutValidation):
    """Logs its metric in the hook after a batch, and has no validation."""

    def __init__(self, **swallowed: Any) -> None:
        super().__init__()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.log("n_steps", float(self.global_step))


class HalvesItsWeightsAtTheEnd(Plain):
    """Changes its weights where the training ends, as modules with averages of their own do."""

    def on_train_end(self) -> None:
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(0.5)


class FindsLater(LearningRateFinder):
    """Searches for a rate at the second epoch, as Lightning's documentation shows it."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        return

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            self.lr_find(trainer, pl_module)


class BringsACheckpoint(Plain):
    """Brings a checkpoint callback of its own."""

    def configure_callbacks(self) -> ModelCheckpoint:
        return ModelCheckpoint(filename="brought")


class Announced(IterableDataset[Any]):
    """A stream of points that tells a length which may be wrong."""

    def __init__(self, n_samples: int, announced: int) -> None:
        self.n_samples, self.announced = n_samples, announced

    def __len__(self) -> int:
        return self.announced

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x in torch.linspace(-1, 1, self.n_samples).unsqueeze(1):
            yield x, 2 * x + 1


class GivesLessThanAnnounced(Plain):
    """Trains on a stream that ends early."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Announced(self.n_samples, 2 * self.n_samples), batch_size=self.batch_size)


class TimeFirst(Plain):
    """Trains on a stream of batches whose first dimension is not that of the samples."""

    def train_dataloader(self) -> DataLoader[Any]:
        stream = Announced(self.n_samples, self.n_samples)
        return DataLoader(stream, batch_size=self.batch_size, collate_fn=lambda rows: [torch.zeros(3, 1)] * 2)


class Judged(Callback):
    """Notes whether the weights at the end are those of the last validation."""

    kept: ClassVar[list[bool]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.weights = [p.detach().clone() for p in pl_module.parameters()]

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.kept.append(all(map(torch.equal, self.weights, pl_module.parameters())))
