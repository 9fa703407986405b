import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules import MLP, Classifier, CosineDecay, Digits, ReduceOnPlateau, Schedule, StepDecay, TensorLoader

pytestmark = pytest.mark.filterwarnings(  # Lightning 2.6 asks torch 2.13's pytree in the old way when it validates
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

TrainerFactory = Callable[..., Trainer]
FROZEN = partial(torch.optim.SGD, lr=0.0)


def mlp(**arguments: Any) -> MLP:
    return MLP(input_shape=(1, 8, 8), n_classes=10, **arguments)


def random_loader(n: int, *, batch_size: int, seed: int = 1) -> TensorLoader:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 8, 8, generator=generator)
    labels = torch.randint(0, 10, (n,), generator=generator)
    return TensorLoader(images, labels, batch_size=batch_size, shuffle=False)


def whole(loader: TensorLoader) -> tuple[Tensor, Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_one_epoch_on_the_digits_reaches_a_sane_accuracy(trainer: TrainerFactory, digits: Digits) -> None:
    model = Classifier(mlp(), optimizer=partial(torch.optim.Adam, lr=3e-3, fused=True))
    fit = trainer(max_epochs=1)
    fit.fit(model, digits)
    assert fit.callback_metrics["val/accuracy"] > 0.8
    assert fit.callback_metrics["val/loss"] < 0.8
    assert set(fit.callback_metrics) == {"train/loss", "val/loss", "val/accuracy"}
    (tested,) = fit.test(model, digits, verbose=False)
    assert set(tested) == {"test/loss", "test/accuracy"}
    assert tested["test/accuracy"] > 0.8


def test_means_are_over_samples_even_if_the_last_batch_is_short(trainer: TrainerFactory) -> None:
    model = Classifier(mlp(), optimizer=FROZEN, label_smoothing=0.2, l1=0.1, l2=0.1)
    train, val = random_loader(33, batch_size=16), random_loader(25, batch_size=12, seed=2)
    fit = trainer(max_epochs=2)
    fit.fit(model, train, val)
    images, labels = whole(train)
    smoothed = functional.cross_entropy(model(images), labels, label_smoothing=0.2)
    torch.testing.assert_close(fit.callback_metrics["train/loss"], smoothed.detach())
    images, labels = whole(val)
    logits = model(images).detach()
    torch.testing.assert_close(fit.callback_metrics["val/loss"], functional.cross_entropy(logits, labels))
    accuracy = (logits.argmax(1) == labels).float().mean()
    torch.testing.assert_close(fit.callback_metrics["val/accuracy"], accuracy)
    (tested,) = fit.test(model, val, verbose=False)
    assert tested["test/loss"] == pytest.approx(fit.callback_metrics["test/loss"].item())
    assert tested["test/accuracy"] == pytest.approx(accuracy.item())


def test_each_epoch_starts_its_sums_anew(trainer: TrainerFactory) -> None:
    train, val = random_loader(33, batch_size=33), random_loader(25, batch_size=12, seed=2)
    models = []
    for n_epochs in (1, 2):  # of one step each
        torch.manual_seed(0)
        models.append(Classifier(mlp(), optimizer=partial(torch.optim.SGD, lr=0.5)))
        fit = trainer(max_epochs=n_epochs)
        fit.fit(models[-1], train, val)
    losses = []
    for model, (images, labels) in zip(models, (whole(train), whole(val)), strict=True):
        losses.append(functional.cross_entropy(model(images), labels).item())
    assert fit.callback_metrics["train/loss"].item() == pytest.approx(losses[0])  # before the second epoch's step
    assert fit.callback_metrics["val/loss"].item() == pytest.approx(losses[1])  # after it


class Recorder(Callback):
    def __init__(self) -> None:
        self.val_losses: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.val_losses.append(trainer.callback_metrics["val/loss"].item())


def test_validating_within_an_epoch_disturbs_no_sum(trainer: TrainerFactory) -> None:
    model = Classifier(mlp(), optimizer=FROZEN)
    train, val = random_loader(40, batch_size=10), random_loader(25, batch_size=12, seed=2)
    recorder = Recorder()
    fit = trainer(max_epochs=2, val_check_interval=0.25, callbacks=[recorder])
    fit.fit(model, train, val)
    expected = [functional.cross_entropy(model(images), labels).item() for images, labels in map(whole, (train, val))]
    assert recorder.val_losses == pytest.approx([expected[1]] * 8)
    assert fit.callback_metrics["train/loss"].item() == pytest.approx(expected[0])


class WithAnotherDevice(SingleDeviceStrategy):
    """One device that is told the sums of another one: loss 30, 4 correct, 15 samples."""

    def reduce(self, tensor: Any, *arguments: Any, **options: Any) -> Any:
        if tensor.shape != (3,):
            return tensor
        assert options == {"reduce_op": "sum"}
        return tensor + torch.tensor([30.0, 4.0, 15.0])


def test_devices_add_their_sums_before_the_mean_is_taken(trainer: TrainerFactory) -> None:
    model = Classifier(mlp(initialization="zeros"), optimizer=FROZEN)
    fit = trainer(max_epochs=1, strategy=WithAnotherDevice(torch.device("cpu")))
    blank = TensorLoader(torch.zeros(5, 1, 8, 8), torch.zeros(5, dtype=torch.int64), batch_size=2, shuffle=False)
    fit.fit(model, blank, blank)
    assert fit.callback_metrics["val/loss"].item() == pytest.approx((5 * math.log(10) + 30) / 20)
    assert fit.callback_metrics["val/accuracy"].item() == pytest.approx((5 + 4) / 20)
    assert fit.callback_metrics["train/loss"].item() == pytest.approx((5 * math.log(10) + 30) / 20)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # process groups warn of much that is not ours
def test_two_devices_measure_what_one_does(trainer: TrainerFactory, data_dir: str) -> None:
    measured = []
    for arguments in ({"devices": 1}, {"devices": 2, "strategy": "ddp_fork"}):
        torch.manual_seed(0)
        fit = trainer(max_epochs=1, **arguments)
        data = Digits(data_dir=data_dir, batch_size=100, eval_batch_size=130)
        fit.fit(Classifier(mlp(), optimizer=FROZEN), data)
        measured.append({name: value.item() for name, value in fit.callback_metrics.items() if "val" in name})
    assert measured[0] == pytest.approx(measured[1])


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4)])
def test_the_trained_loss_has_the_penalties_of_weights_but_not_of_biases(l1: float, l2: float) -> None:
    network = mlp()
    batch = whole(random_loader(8, batch_size=8))
    plain = Classifier(network, optimizer=FROZEN).training_step(batch)
    penalised = Classifier(network, optimizer=FROZEN, l1=l1, l2=l2).training_step(batch)
    weights = torch.cat([layer.weight.flatten() for layer in network.modules() if isinstance(layer, nn.Linear)])
    torch.testing.assert_close(penalised - plain, l1 * weights.abs().sum() + l2 / 2 * weights.square().sum())


def test_l2_is_weight_decay_for_plain_sgd(trainer: TrainerFactory) -> None:
    networks = []
    for l2, weight_decay in ((0.05, 0.0), (0.0, 0.05)):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False))
        model = Classifier(network, l2=l2, optimizer=partial(torch.optim.SGD, lr=0.1, weight_decay=weight_decay))
        trainer(max_epochs=3).fit(model, random_loader(40, batch_size=10), random_loader(5, batch_size=5))
        networks.append(network[1].weight)
    torch.testing.assert_close(networks[0], networks[1])


@pytest.mark.parametrize(
    ("optimizer", "arguments"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
        (torch.optim.Adam, {"betas": (0.8, 0.99), "fused": True}),
        (torch.optim.AdamW, {"weight_decay": 0.02, "fused": True}),
        (torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.5}),
        (torch.optim.Adagrad, {"lr_decay": 0.1}),
    ],
)
def test_optimizer_and_schedule_reach_the_training(
    trainer: TrainerFactory, optimizer: type[torch.optim.Optimizer], arguments: dict[str, Any]
) -> None:
    build = partial(optimizer, lr=0.02, **arguments)
    model = Classifier(mlp(), optimizer=build, schedule=CosineDecay(floor=0.5))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    fit = trainer(max_epochs=2)
    fit.fit(model, random_loader(40, batch_size=16), random_loader(5, batch_size=5))
    (live,) = fit.optimizers
    assert type(live) is optimizer
    group = live.param_groups[0]
    assert {key: group[key] for key in arguments} == arguments
    assert group["lr"] == pytest.approx(0.01)  # six steps, the end of the cosine
    assert isinstance(fit.lr_scheduler_configs[0].scheduler, LambdaLR)
    assert all(not torch.equal(new, old) for new, old in zip(model.parameters(), before, strict=True))


def test_schedules_are_told_the_lengths_of_the_training(trainer: TrainerFactory) -> None:
    lengths = {}

    def schedule(optimizer: torch.optim.Optimizer, *, n_steps: float, steps_per_epoch: float) -> Any:
        lengths.update(n_steps=n_steps, steps_per_epoch=steps_per_epoch)
        return StepDecay(rate=0.5, every=1)(optimizer)

    model = Classifier(mlp(), optimizer=FROZEN, schedule=schedule)
    trainer(max_epochs=3, accumulate_grad_batches=2).fit(
        model, random_loader(50, batch_size=10), random_loader(5, batch_size=5)
    )
    assert lengths == {"n_steps": 9, "steps_per_epoch": 3}


@pytest.mark.parametrize(("schedule", "lr"), [(StepDecay(rate=0.5, every=1), 0.025), (ReduceOnPlateau(0.1, 0), 0.001)])
def test_schedules_by_epoch_step_once_an_epoch(trainer: TrainerFactory, schedule: Schedule, lr: float) -> None:
    network = mlp(initialization="zeros")
    model = Classifier(network, optimizer=partial(torch.optim.SGD, lr=0.1), schedule=schedule)
    blank = TensorLoader(torch.zeros(40, 1, 8, 8), torch.arange(40) % 10, batch_size=40, shuffle=False)
    fit = trainer(max_epochs=2 if isinstance(schedule, StepDecay) else 3)
    fit.fit(model, blank, blank)
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(lr)


def test_a_training_limited_by_time_alone_refuses_a_cosine(trainer: TrainerFactory) -> None:
    model = Classifier(mlp(), optimizer=FROZEN, schedule=CosineDecay())
    with pytest.raises(ValueError, match="n_steps is inf: CosineDecay needs"):
        trainer(max_epochs=-1, max_time={"seconds": 5}).fit(
            model, random_loader(40, batch_size=10), random_loader(5, batch_size=5)
        )


def test_an_epoch_without_samples_logs_nothing(trainer: TrainerFactory) -> None:
    model = Classifier(mlp(), optimizer=FROZEN)
    fit = trainer(max_epochs=1)
    fit.fit(model, random_loader(10, batch_size=10), random_loader(5, batch_size=5))
    before = dict(fit.callback_metrics)
    model.on_validation_epoch_start()
    model.on_validation_epoch_end()
    assert dict(fit.callback_metrics) == before


def test_the_signature_that_lightning_asks_for_in_every_step_is_at_hand() -> None:
    step = Classifier.training_step
    assert step.__signature__ == inspect.signature(step)  # type: ignore[attr-defined]
    assert inspect.getfullargspec(Classifier(mlp(), optimizer=FROZEN).training_step).args == ["self", "batch"]


def test_strings_and_parameters_are_set_where_they_belong() -> None:
    model = Classifier(mlp(), optimizer=FROZEN)
    model.note, model.scale = "a", nn.Parameter(torch.ones(1))
    model.note = "b"
    assert model.note == "b"
    assert "scale" in dict(model.named_parameters())


@pytest.mark.parametrize(
    ("key", "value"), [("label_smoothing", 1.0), ("label_smoothing", -0.1), ("l1", -1.0), ("l2", math.nan)]
)
def test_wrong_arguments_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}: give"):
        Classifier(mlp(), optimizer=FROZEN, **{key: value})
