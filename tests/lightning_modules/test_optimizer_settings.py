from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules import OptimizerSettings

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*lr_scheduler.step.*")
MakeTrainer = Callable[..., Trainer]
PEAK = 0.1  # what the module below writes in code


class Settings(OptimizerSettings, Callback):
    """As in a Trainer of one's own."""


class Hard(LightningModule):
    """Writes its learning rate in code. `schedule` makes a scheduler; `rates` are those of each step."""

    def __init__(self, schedule: Callable[[Optimizer], Any] | None = None, kind: Any = SGD) -> None:
        super().__init__()
        self.line, self.other = nn.Linear(1, 1), nn.Linear(1, 1)
        self.schedule, self.kind = schedule, kind
        self.rates: list[list[float]] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        optimizers = [self.optimizers()] if not isinstance(self.optimizers(), list) else self.optimizers()
        self.rates.append([group["lr"] for o in optimizers for group in o.param_groups])
        return (self.line(batch[0]) + self.other(batch[0])).square().mean()

    def configure_optimizers(self) -> Any:
        groups = [{"params": self.line.parameters()}, {"params": self.other.parameters(), "lr": PEAK / 10}]
        optimizer = self.kind(groups, lr=PEAK)
        if self.schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule(optimizer), "interval": "step"},
        }

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=1)


class Two(Hard):
    """Has two optimizers, which it steps itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return [SGD(self.line.parameters(), lr=PEAK), Adam(self.other.parameters(), lr=PEAK)]


def groups_of(module: LightningModule) -> list[dict[str, Any]]:
    return [group for optimizer in module.trainer.optimizers for group in optimizer.param_groups]


def test_every_group_trains_with_what_is_set_from_the_first_step_on(trainer: MakeTrainer) -> None:
    module = Hard()
    trainer(max_epochs=1, callbacks=[Settings(lr=0.02, weight_decay=0.3, momentum=0.5)]).fit(module)
    assert module.rates == [[0.02, 0.02]] * 8
    assert [(group["weight_decay"], group["momentum"]) for group in groups_of(module)] == [(0.3, 0.5)] * 2


def test_what_is_not_set_stays_as_the_module_sets_it(trainer: MakeTrainer) -> None:
    module = Hard()
    trainer(max_epochs=1, callbacks=[Settings(weight_decay=0.0)]).fit(module)
    assert module.rates == [[PEAK, PEAK / 10]] * 8


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
        lambda o: lr_scheduler.ExponentialLR(o, 0.9),
        lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
        lambda o: lr_scheduler.OneCycleLR(o, [PEAK, PEAK / 10], total_steps=9),
        lambda o: lr_scheduler.CyclicLR(
            o, [PEAK / 4, PEAK / 40], [PEAK, PEAK / 10], step_size_up=3, cycle_momentum=False
        ),
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.CosineAnnealingLR(o, 5)], milestones=[3]
        ),
    ],
    ids=["cosine", "exponential", "lambda", "one cycle", "cyclic", "warm-up"],
)
def test_a_schedule_keeps_its_shape_and_has_its_peak_where_it_is_set(trainer: MakeTrainer, schedule: Any) -> None:
    as_written, scaled = Hard(schedule), Hard(schedule)
    trainer(max_epochs=1).fit(as_written)
    trainer(max_epochs=1, callbacks=[Settings(lr=PEAK / 2)]).fit(scaled)
    first = [rates[0] for rates in as_written.rates]
    assert len(set(first)) > 1
    assert [rates[0] for rates in scaled.rates] == pytest.approx([rate / 2 for rate in first])
    assert [rates[1] for rates in scaled.rates] == pytest.approx([rate / 2 for rate in first])


def test_one_optimizer_or_one_group_can_be_named(trainer: MakeTrainer) -> None:
    module = Hard()
    trainer(max_epochs=1, callbacks=[Settings(lr=0.02, group=1)]).fit(module)
    assert module.rates[0] == [PEAK, 0.02]
    two = Two()
    trainer(max_epochs=1, callbacks=[Settings(lr=0.02, options={"betas": [0.5, 0.9]}, optimizer=1)]).fit(two)
    assert two.rates[0] == [PEAK, 0.02]
    assert groups_of(two)[1]["betas"] == (0.5, 0.9)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(momentum=0.9), r"optimizer 0 \(Adam\) has no option momentum: it has .*betas, .*weight_decay"),
        (Settings(lr=0.1, optimizer=2), "there is no optimizer with index 2: there are 1"),
        (Settings(lr=0.1, group=2), "there is no group of optimizer 0 with index 2: there are 2"),
    ],
)
def test_what_there_is_not_is_told(trainer: MakeTrainer, settings: Callback, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        trainer(max_epochs=1, callbacks=[settings]).fit(Hard(kind=Adam))


def test_a_training_that_goes_on_takes_the_rates_of_its_checkpoint(trainer: MakeTrainer, tmp_path: Any) -> None:
    schedule = lambda o: lr_scheduler.ExponentialLR(o, 0.9)  # noqa: E731
    whole = Hard(schedule)
    trainer(max_epochs=2, callbacks=[Settings(lr=0.02)]).fit(whole)
    first, second = Hard(schedule), Hard(schedule)
    half = trainer(max_epochs=1, callbacks=[Settings(lr=0.02)])
    half.fit(first)
    half.save_checkpoint(tmp_path / "half.ckpt")
    trainer(max_epochs=2, callbacks=[Settings(lr=0.02)]).fit(
        second, ckpt_path=tmp_path / "half.ckpt", weights_only=True
    )
    assert second.rates == whole.rates[8:]
