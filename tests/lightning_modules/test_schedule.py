import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from lightning_modules import (
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmupCosine,
)

LR = 0.2


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)


def rates_of(scheduler: LRScheduler, *, n: int) -> list[float]:
    rates = []
    for _ in range(n):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def rates(schedule: Schedule, *, n_steps: int, n: int, interval: str) -> list[float]:
    config = schedule(sgd(), n_steps=n_steps, steps_per_epoch=10)
    assert config["interval"] == interval
    scheduler = config["scheduler"]
    assert isinstance(scheduler, LRScheduler)
    return rates_of(scheduler, n=n)


def test_step_decay_falls_every_so_many_epochs() -> None:
    expected = [LR, LR, LR / 2, LR / 2, LR / 4, LR / 4]
    assert rates(StepDecay(rate=0.5, every=2), n_steps=60, n=6, interval="epoch") == pytest.approx(expected)


def test_exponential_decay_falls_each_epoch() -> None:
    expected = [LR * 0.8**epoch for epoch in range(5)]
    assert rates(ExponentialDecay(rate=0.8), n_steps=50, n=5, interval="epoch") == pytest.approx(expected)


def test_cosine_decay_is_torchs_and_holds_its_floor_past_the_end() -> None:
    got = rates(CosineDecay(floor=0.1), n_steps=20, n=30, interval="step")
    assert got[:21] == pytest.approx(rates_of(CosineAnnealingLR(sgd(), T_max=20, eta_min=0.1 * LR), n=21))
    assert got[10] == pytest.approx(LR * 0.55)
    assert got[20:] == pytest.approx([LR * 0.1] * 10)


def test_warmup_cosine_rises_evenly_then_falls_to_its_floor() -> None:
    got = rates(WarmupCosine(warmup=0.25, floor=0.2), n_steps=20, n=25, interval="step")
    assert got[:5] == pytest.approx([LR * step / 5 for step in (1, 2, 3, 4, 5)])
    fall = [LR * (0.2 + 0.8 * (1 + math.cos(math.pi * step / 15)) / 2) for step in range(16)]
    assert got[5:21] == pytest.approx(fall)
    assert got[21:] == pytest.approx([LR * 0.2] * 4)


@pytest.mark.parametrize(("warmup", "n_steps"), [(0.3, 20), (0.3, 7), (0.5, 40), (0.1, 200), (0.9, 20)])
def test_one_cycle_is_torchs_with_the_optimizers_rate_as_its_peak(warmup: float, n_steps: int) -> None:
    torchs = OneCycleLR(sgd(), max_lr=LR, total_steps=n_steps, pct_start=warmup, cycle_momentum=False)
    expected = [torchs.get_last_lr()[0]]
    for _ in range(n_steps - 1):
        torchs.optimizer.step()
        torchs.step()
        expected.append(torchs.get_last_lr()[0])
    assert rates(OneCycle(warmup=warmup), n_steps=n_steps, n=n_steps, interval="step") == pytest.approx(expected)


@pytest.mark.parametrize(
    "schedule", [CosineDecay(), WarmupCosine(), OneCycle(), OneCycle(warmup=0.0), OneCycle(warmup=0.5)]
)
@pytest.mark.parametrize("n_steps", [0, 1, 2, 3])
def test_short_trainings_and_steps_past_the_end_are_possible(schedule: Schedule, n_steps: int) -> None:
    got = rates(schedule, n_steps=n_steps, n=n_steps + 5, interval="step")
    assert all(0 <= rate <= LR for rate in got)
    assert got[-1] == pytest.approx(got[max(n_steps, 1)])


def test_one_cycle_leaves_the_momentum_alone() -> None:
    optimizer = sgd()
    scheduler = OneCycle()(optimizer, n_steps=10, steps_per_epoch=10)["scheduler"]
    assert isinstance(scheduler, LRScheduler)
    rates_of(scheduler, n=3)
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_reduce_on_plateau_waits_for_its_patience() -> None:
    optimizer = sgd()
    config = ReduceOnPlateau(rate=0.1, patience=2, monitor="val/accuracy")(optimizer)
    assert (config["interval"], config["monitor"]) == ("epoch", "val/accuracy")
    scheduler: Any = config["scheduler"]
    got = []
    for value in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9):
        scheduler.step(value)
        got.append(optimizer.param_groups[0]["lr"])
    assert got == pytest.approx([LR, LR, LR, LR, LR * 0.1, LR * 0.1])
    assert ReduceOnPlateau(rate=0.1, patience=0)(sgd())["monitor"] == "val/loss"


@pytest.mark.parametrize("schedule", [CosineDecay(), WarmupCosine(), OneCycle()])
@pytest.mark.parametrize("n_steps", [math.inf, -1])  # -1: what Lightning estimates for data of unknown length
def test_a_schedule_without_an_end_is_refused_with_a_remedy(schedule: Schedule, n_steps: float) -> None:
    with pytest.raises(
        ValueError, match=rf"n_steps is {n_steps}: {type(schedule).__name__} needs .*or choose StepDecay"
    ):
        schedule(sgd(), n_steps=n_steps, steps_per_epoch=math.inf)


@pytest.mark.parametrize("schedule", [StepDecay(0.5, 1), ExponentialDecay(0.5), ReduceOnPlateau(0.5, 1)])
def test_schedules_by_epoch_need_no_end(schedule: Schedule) -> None:
    assert schedule(sgd(), n_steps=math.inf, steps_per_epoch=math.inf)["interval"] == "epoch"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StepDecay(rate=0.0, every=1), "rate is 0.0"),
        (lambda: StepDecay(rate=0.5, every=0), "every is 0"),
        (lambda: ExponentialDecay(rate=1.1), "rate is 1.1"),
        (lambda: ReduceOnPlateau(rate=1.0, patience=1), "rate is 1.0"),
        (lambda: ReduceOnPlateau(rate=0.5, patience=-1), "patience is -1"),
        (lambda: CosineDecay(floor=1.5), "floor is 1.5"),
        (lambda: WarmupCosine(warmup=1.0), "warmup is 1.0"),
        (lambda: WarmupCosine(floor=-0.1), "floor is -0.1"),
        (lambda: OneCycle(warmup=-0.1), "warmup is -0.1"),
    ],
)
def test_wrong_arguments_are_refused(build: Callable[[], Schedule], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}: give"):
        build()
