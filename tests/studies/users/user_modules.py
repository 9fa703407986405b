"""What users bring, good and bad: modules for the tests, reached by `_target_` like any other."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import optuna
import torch
from pytorch_lightning import LightningModule, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, random_split

from lightning_modules import Classifier


class Plain(LightningModule):
    """The smallest honest module: a line fitted to a line, with dataloaders of its own.

    `behaviour` says how it misbehaves in training: not_a_number, infinite, raise, oom, memory, exit, exit_0, kill,
    interrupt, or not at all. It does so from step `at` on, at learning rates above `above`, and only while `marker` (a
    file that counts the tries) has fewer lines than `times`.
    """

    def __init__(
        self,
        lr: float = 0.1,
        batch_size: int = 10,
        n_samples: int = 100,
        behaviour: str = "good",
        at: int = 0,
        above: float = -math.inf,
        marker: str | None = None,
        times: int = 10**9,
        sleep_s: float = 0.0,
        dropout: float = 0.0,
        n_weights: int = 0,
        **swallowed: Any,
    ) -> None:
        super().__init__()
        self.lr, self.batch_size, self.n_samples, self.at = lr, batch_size, n_samples, at
        self.sleep_s = sleep_s
        self.swallowed = swallowed
        self.behaviour = behaviour if lr > above and _tries(marker) < times else "good"
        self.line = nn.Linear(1, 1)
        self.dropout = nn.Dropout(dropout)
        self.unused = nn.Buffer(torch.zeros(n_weights))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = nn.functional.mse_loss(self.line(self.dropout(x)), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        if self.sleep_s:
            time.sleep(self.sleep_s)
        return loss * self._misbehave() if self.global_step >= self.at else loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self.line(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=False)

    def _loader(self, *, shuffle: bool) -> DataLoader[Any]:
        x = torch.linspace(-1, 1, self.n_samples).unsqueeze(1)
        return DataLoader(TensorDataset(x, 2 * x + 1), batch_size=self.batch_size, shuffle=shuffle)

    def _misbehave(self) -> float:
        match self.behaviour:
            case "not_a_number":
                return math.nan
            case "infinite":
                return math.inf
            case "raise":
                raise ValueError(f"the module is broken at lr {self.lr}")
            case "oom":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
            case "memory":
                raise MemoryError
            case "exit":
                os._exit(3)
            case "exit_0":
                os._exit(0)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "interrupt":
                os.kill(os.getpid(), signal.SIGTERM)
        return 1.0


class WithoutValidation(LightningModule):
    """Logs its loss in training and has no validation at all."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.line(batch[0]).square().mean()
        self.log("train_loss", loss, on_step=True, on_epoch=False)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(40, 1)), batch_size=10)


def _tries(marker: str | None) -> int:
    """How often a module with this marker was made before; notes this one."""
    if marker is None:
        return 0
    with open(marker, "a+") as file:  # noqa: PTH123 - one call that appends and reads
        file.seek(0)
        before = len(file.readlines())
        file.write(f"{os.getpid()}\n")
    return before


class TwoOptimizers(Plain):
    """Steps two optimizers by hand in each batch."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.automatic_optimization = False

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = nn.functional.mse_loss(self.line(x), y)
        first, second = self.optimizers()
        for optimizer in (first, second):
            optimizer.zero_grad()
        self.manual_backward(loss)
        first.step()
        second.step()
        return loss

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD([p], lr=self.lr) for p in self.line.parameters()]


class SeedsItself(Plain):
    """Seeds every random generator in its constructor, as some published modules do."""

    def __init__(self, seed: int = 1, **arguments: Any) -> None:
        seed_everything(seed, verbose=False)
        super().__init__(**arguments)
        self.seed = seed


class TellsNoLoss(TwoOptimizers):
    """Returns nothing from its steps, as modules with several optimizers often do."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:  # type: ignore[override]
        super().training_step(batch, batch_idx)


class SkipsItsSecondEpoch(Plain):
    """Gives the second epoch up at its first batch, which skips its validation too."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if self.current_epoch == 1 else None


class SkipsItsSecondEpochUnsized(SkipsItsSecondEpoch):
    """The same with a loader that does not tell how long an epoch is: a cut one cannot be told by its length."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream(self.n_samples), batch_size=self.batch_size)


class Stream(IterableDataset[Any]):
    """Points of the line, one after the other, without a length."""

    def __init__(self, n_samples: int) -> None:
        self.n_samples = n_samples

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x in torch.linspace(-1, 1, self.n_samples).unsqueeze(1):
            yield x, 2 * x + 1


class HalfPrecisionLoss(Plain):
    """Returns a loss of 1,000 in half precision, a hundred of which exceed what half precision can hold."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.line(batch[0]).square().mean().half() * 0 + 1000


class PrunesItself(Plain):
    """Raises Optuna's TrialPruned, as modules written for Optuna's own loop do."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        raise optuna.TrialPruned("not worth going on")


class SlowToSetUp(Plain):
    """Takes half a minute before its first batch."""

    def setup(self, stage: str) -> None:
        time.sleep(30)


class Streamed(Plain):
    """Trains on a stream whose length nobody knows."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream(self.n_samples), batch_size=self.batch_size)


class SplitsInItsLoader(Plain):
    """Draws its training samples where it makes their loader, one order for all epochs."""

    def train_dataloader(self) -> DataLoader[Any]:
        x = torch.linspace(-1, 1, 20).unsqueeze(1)
        part, _ = random_split(TensorDataset(x, 2 * x + 1), [10, 10])
        return Ordered(part, batch_size=2)


class Ordered(DataLoader[Any]):
    """A loader that can tell where it is; it starts at the place that it is told."""

    taken = 0

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.taken = state_dict["taken"]

    def __iter__(self) -> Any:
        batches = list(super().__iter__())
        first = self.taken % len(batches)
        return self._rest(batches, first)

    def _rest(self, batches: list[Any], first: int) -> Iterator[Any]:
        for self.taken in range(first + 1, len(batches) + 1):
            yield batches[self.taken - 1]


class RandomInValidation(Classifier):
    """A classifier that logs a random number in validation, whose DataLoader draws a seed at each pass."""

    def validation_step(self, batch: Any) -> None:
        super().validation_step(batch)
        self.log("val/random", torch.rand(()))

    def val_dataloader(self) -> DataLoader[Any]:
        loader = self.trainer.datamodule.val_dataloader()
        images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
        return DataLoader(TensorDataset(images, labels), batch_size=loader.batch_size)


class StepsItself(Classifier):
    """A classifier with two optimizers that it steps in each second batch only."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.manual_backward(loss)
        if batch_idx % 2:
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()
        return loss

    def configure_optimizers(self) -> Any:
        parameters = list(self.parameters())
        return [torch.optim.Adam(part, lr=0.01) for part in (parameters[:2], parameters[2:])]


class Sorts(LightningModule):
    """Sorts points into `n_classes`, which its data have to tell; `width` and `names` are only kept."""

    def __init__(self, n_classes: int, lr: float = 0.1, width: int = 0, names: Any = ()) -> None:
        super().__init__()
        self.lr, self.n_classes, self.width, self.names = lr, n_classes, width, names
        self.line = nn.Linear(1, n_classes)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.line(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.line(batch[0]), batch[1]))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test_loss", nn.functional.cross_entropy(self.line(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Silent(Plain):
    """Logs nothing and has no validation: its loss is all there is."""

    validation_step = LightningModule.validation_step
    val_dataloader = LightningModule.val_dataloader

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.mse_loss(self.line(batch[0]), batch[1])


class Counting(LightningModule):
    """Its loss is the number of batches before, of which there are four an epoch; it may step `by_hand`."""

    def __init__(self, by_hand: bool = False, returns: bool = True, logs: float | None = None) -> None:
        super().__init__()
        self.automatic_optimization = not by_hand
        self.returns, self.logs, self.seen = returns, logs, 0
        self.line = nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        loss = self.line(batch[0]).sum() * 0 + self.seen
        self.seen += 1
        if self.logs is not None:
            self.log("training_loss", self.logs)
        if not self.automatic_optimization:
            self.manual_backward(loss)
            self.optimizers().step()
        return {"loss": loss} if self.returns else None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=1)


class TakesAText(Plain):
    """Names a penalty."""

    def __init__(self, penalty: str = "no", **arguments: Any) -> None:
        super().__init__(**arguments)


class LogsIn(Plain):
    """Keeps what it was built with in its checkpoints, a token too."""

    def __init__(self, hf_token: str, width: int = 1, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.save_hyperparameters("hf_token", "width")
