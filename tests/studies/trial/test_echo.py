"""Every searchable hyperparameter's sampled value is found in the live optimizer, network, loader or schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import lightning_modules
from studies.config.settings import StudySettings
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.run import Run

MakeSettings = Callable[..., StudySettings]

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
}
OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
SCHEDULES = {
    "none": None,
    "step": lightning_modules.StepDecay,
    "exponential": lightning_modules.ExponentialDecay,
    "cosine": lightning_modules.CosineDecay,
    "one_cycle": lightning_modules.OneCycle,
    "warmup_cosine": lightning_modules.WarmupCosine,
    "plateau": lightning_modules.ReduceOnPlateau,
}


def modules_of(run: Run, kind: type[nn.Module]) -> list[Any]:
    return [module for module in run.module.modules() if isinstance(module, kind)]


def group(run: Run) -> Mapping[str, Any]:
    return run.trainer.optimizers[0].param_groups[0]


def scheduler(run: Run) -> Any:
    return run.trainer.lr_scheduler_configs[0].scheduler


def early_stopping(run: Run) -> Any:
    return run.trainer.early_stopping_callback


def augmentation(run: Run) -> Any:
    return run.datamodule.augmentation  # type: ignore[union-attr]


def first_weight(run: Run) -> torch.Tensor:
    weight: torch.Tensor = modules_of(run, nn.Linear)[0].weight
    return weight


LIVE: Mapping[str, Callable[[Run], Any]] = {
    "lr": lambda run: group(run).get("initial_lr", group(run)["lr"]),
    "batch_size": lambda run: run.trainer.train_dataloader.batch_size,  # type: ignore[union-attr]
    "n_layers": lambda run: len(modules_of(run, nn.Linear)) - 1,
    "width": lambda run: modules_of(run, nn.Linear)[0].out_features,
    "dropout": lambda run: modules_of(run, nn.Dropout)[0].p if modules_of(run, nn.Dropout) else 0.0,
    "activation": lambda run: next(name for name, kind in ACTIVATIONS.items() if modules_of(run, kind)),
    "optimizer": lambda run: next(name for name, kind in OPTIMIZERS.items() if type(run.trainer.optimizers[0]) is kind),
    "momentum": lambda run: group(run)["momentum"],
    "nesterov": lambda run: group(run)["nesterov"],
    "beta1": lambda run: group(run)["betas"][0],
    "alpha": lambda run: group(run)["alpha"],
    "lr_decay": lambda run: group(run)["lr_decay"],
    "weight_decay": lambda run: group(run)["weight_decay"],
    "decay_rate": lambda run: scheduler(run).gamma if hasattr(scheduler(run), "gamma") else scheduler(run).factor,
    "decay_every": lambda run: scheduler(run).step_size,
    "plateau_patience": lambda run: scheduler(run).patience,
    "l1": lambda run: run.module.l1,
    "l2": lambda run: run.module.l2,
    "label_smoothing": lambda run: run.module.label_smoothing,
    "gradient_clip": lambda run: run.trainer.gradient_clip_val,
    "patience": lambda run: early_stopping(run).patience,
    **{
        name: (lambda run, name=name: getattr(augmentation(run), name))
        for name in ("rotation", "scaling", "translation", "horizontal_flip", "vertical_flip", "noise")
    },
}
BY_BEHAVIOUR = {"initialization", "schedule", "warmup", "floor"}  # no attribute shows them: tested below


def live_run(settings: StudySettings, wanted: Mapping[str, Any]) -> tuple[Run, dict[str, Any]]:
    """A run at a point far from the defaults, with `wanted` in it, after eight batches; and the point."""
    values = {parameter.name: parameter.spread(3)[-1] for parameter in settings.space}
    values |= {"initialization": "normal", "n_layers": 2, "optimizer": "sgd", "schedule": "step", **wanted}
    point = settings.space.suggest(FixedTrial(values))
    limits = {"limit_train_batches": 8, "max_epochs": 1}
    config, folder = PointConfig(settings, point).resolved(), settings.output_dir
    run = Job(config, "val/accuracy", settings.budget, 0, folder, trainer_arguments=limits).build()
    run.fit()
    return run, dict(point)


@pytest.fixture
def settings(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> StudySettings:
    return make_settings("datamodule=digits", study="mnist_everything")


def test_every_parameter_is_looked_at(settings: StudySettings) -> None:
    assert {*LIVE, *BY_BEHAVIOUR} == {*settings.space.names}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["none", "step", "exponential", "plateau"])
def test_what_was_sampled_is_what_trains(settings: StudySettings, optimizer: str, schedule: str) -> None:
    run, point = live_run(settings, {"optimizer": optimizer, "schedule": schedule})
    for name in point:
        if name not in BY_BEHAVIOUR:
            assert LIVE[name](run) == point[name], name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_reaches_the_network(settings: StudySettings, activation: str) -> None:
    run, _ = live_run(settings, {"activation": activation})
    assert len(modules_of(run, ACTIVATIONS[activation])) == 2


@pytest.mark.parametrize("n_layers", [0, 1, 4])
def test_each_depth_reaches_the_network(settings: StudySettings, n_layers: int) -> None:
    run, _ = live_run(settings, {"n_layers": n_layers})
    assert LIVE["n_layers"](run) == n_layers


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("normal", 0.01),
        ("xavier_normal", (2 / (64 + 256)) ** 0.5 * 5 / 3),
        ("xavier_uniform", (2 / (64 + 256)) ** 0.5 * 5 / 3),
        ("kaiming_normal", 5 / 3 / 64**0.5),
        ("kaiming_uniform", 5 / 3 / 64**0.5),
        ("zeros", 0.0),
    ],
)
def test_each_initialization_reaches_the_weights(settings: StudySettings, name: str, spread: float) -> None:
    """Standard deviations in closed form for tanh (gain 5/3), 64 inputs and 256 units; an untrained network."""
    point = {"initialization": name, "activation": "tanh", "width": 256, "lr": 1e-4}
    run = Job(PointConfig(settings, point).resolved(), "val/loss", settings.budget, 0, settings.output_dir).build()
    assert first_weight(run).std().item() == pytest.approx(spread, rel=0.03)


def test_an_orthogonal_initialization_is_orthogonal(settings: StudySettings) -> None:
    point = {"initialization": "orthogonal", "activation": "relu", "width": 64}
    run = Job(PointConfig(settings, point).resolved(), "val/loss", settings.budget, 0, settings.output_dir).build()
    weight = first_weight(run).detach() / 2**0.5
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "extra", "step", "factor"),
    [
        ("cosine", {"floor": 0.2}, 10**9, 0.2),
        ("warmup_cosine", {"floor": 0.2, "warmup": 0.5}, 10**9, 0.2),
        ("one_cycle", {"warmup": 0.5}, 0, 1 / 25),
    ],
)
def test_schedules_by_the_step_shape_the_learning_rate(
    settings: StudySettings, schedule: str, extra: dict[str, float], step: int, factor: float
) -> None:
    run, point = live_run(settings, {"schedule": schedule, **extra})
    (shape,) = scheduler(run).lr_lambdas
    assert shape(step) == pytest.approx(factor)
    assert LIVE["lr"](run) == point["lr"]


def test_the_warmup_reaches_its_schedule(settings: StudySettings) -> None:
    run, _ = live_run(settings, {"schedule": "warmup_cosine", "warmup": 0.5, "floor": 0.0, "batch_size": 16})
    (shape,) = scheduler(run).lr_lambdas
    assert run.trainer.estimated_stepping_batches == 8
    assert [shape(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]  # half of the steps warm up


def test_no_schedule_leaves_the_learning_rate_alone(settings: StudySettings) -> None:
    run, point = live_run(settings, {"schedule": "none"})
    assert run.trainer.lr_scheduler_configs == []
    assert group(run)["lr"] == point["lr"]


@pytest.mark.parametrize("name", ["n_layers", "width", "dropout", "activation", "initialization", "kernel_size"])
def test_the_convolutional_network_has_the_same_knobs(make_settings: MakeSettings, name: str) -> None:
    settings = make_settings("model=cnn", "search_space=cnn")
    assert name in settings.template.model.network
