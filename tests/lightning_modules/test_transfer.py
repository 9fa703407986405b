"""Hidden layers of a trained classifier in another one: taken over whole or refused, frozen or trained on."""

import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

from lightning_modules import CNN, MLP, Classifier, TensorLoader

TrainerFactory = Callable[..., Trainer]
MakeNetwork = Callable[..., nn.Module]
SHAPE = (1, 8, 8)
mlp = partial(MLP, input_shape=SHAPE, n_layers=2, width=16)
cnn = partial(CNN, input_shape=SHAPE, n_layers=2, width=4)
SGD = partial(torch.optim.SGD, lr=0.1)


class Normed(nn.Module):
    """A user's network, with running statistics and an output layer that is not the last one made."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.output_layer: nn.Module = nn.Linear(16, n_classes)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.output_layer(self.hidden(images))
        return logits


def loader(n_classes: int, *, seed: int = 1, shuffle: bool = True) -> TensorLoader:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(40, *SHAPE, generator=generator)
    return TensorLoader(images, torch.arange(40) % n_classes, batch_size=10, shuffle=shuffle)


def classifier(network: nn.Module, **arguments: Any) -> Classifier:
    return Classifier(network, **({"optimizer": SGD} | arguments))


def train(trainer: TrainerFactory, model: LightningModule, *, n_classes: int = 10, **arguments: Any) -> Trainer:
    fit = trainer(**({"max_epochs": 1} | arguments))
    fit.fit(model, loader(n_classes), loader(n_classes, seed=2))
    return fit


def look(trainer: TrainerFactory, model: LightningModule) -> None:
    trainer().validate(model, loader(10), verbose=False)


def weights(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Copies of what the hidden layers hold, statistics included, and of what the output layer holds."""
    output = [value.detach().clone() for value in network.output_layer.state_dict().values()]  # type: ignore[union-attr]
    own = {id(value) for value in network.output_layer.state_dict(keep_vars=True).values()}  # type: ignore[union-attr]
    state = network.state_dict(keep_vars=True).values()
    return [value.detach().clone() for value in state if id(value) not in own], output


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(map(torch.equal, first, second))


@pytest.fixture
def trained(trainer: TrainerFactory, tmp_path: Path) -> Callable[..., tuple[Path, list[Tensor]]]:
    """Trains a network on labels of n_classes; the checkpoint, and what the hidden layers are in it."""

    def make(network: nn.Module, *, n_classes: int = 10, weights_only: bool = True) -> tuple[Path, list[Tensor]]:
        fit = train(trainer, classifier(network), n_classes=n_classes)
        path = tmp_path / "trained.ckpt"
        fit.save_checkpoint(path, weights_only=weights_only)
        return path, weights(network)[0]

    return make


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("make", [mlp, cnn, Normed])
def test_hidden_layers_come_from_the_checkpoint_and_the_output_layer_from_the_seed(
    trainer: TrainerFactory, trained: Any, make: MakeNetwork, weights_only: bool
) -> None:
    path, hidden = trained(make(n_classes=3), n_classes=3, weights_only=weights_only)
    after = []
    for init_from in (None, path):
        torch.manual_seed(5)
        model = classifier(make(n_classes=10), init_from=init_from)
        look(trainer, model)
        after.append((*weights(model.network), torch.get_rng_state()))
    assert equal(after[1][0], hidden)
    assert not equal(after[0][0], hidden)
    assert equal(after[0][1], after[1][1])
    assert torch.equal(after[0][2], after[1][2])


def test_layers_correspond_though_dropout_shifts_their_names(trainer: TrainerFactory, trained: Any) -> None:
    path, hidden = trained(mlp(n_classes=10))
    model = classifier(mlp(n_classes=10, dropout=0.5), init_from=path)
    assert not set(model.network.state_dict()) <= set(torch.load(path, weights_only=True)["state_dict"])
    look(trainer, model)
    assert equal(weights(model.network)[0], hidden)


def test_a_checkpoint_serves_images_of_another_size_where_no_layer_depends_on_it(
    trainer: TrainerFactory, trained: Any
) -> None:
    path, hidden = trained(cnn(n_classes=10))
    model = classifier(CNN(input_shape=(1, 12, 12), n_classes=10, n_layers=2, width=4), init_from=path)
    images = TensorLoader(torch.randn(20, 1, 12, 12), torch.arange(20) % 10, batch_size=10, shuffle=False)
    trainer(max_epochs=1).test(model, images, verbose=False)
    assert equal(weights(model.network)[0], hidden)


@pytest.mark.parametrize("make", [mlp, cnn, Normed])
@pytest.mark.parametrize("freeze", [True, False])
def test_only_a_frozen_layer_stays_as_it_was_taken_over(
    trainer: TrainerFactory, trained: Any, make: MakeNetwork, freeze: bool
) -> None:
    path, hidden = trained(make(n_classes=10))
    model = classifier(make(n_classes=10), init_from=path, freeze=freeze)
    drawn = weights(model.network)[1]
    fit = train(trainer, model, max_epochs=2, num_sanity_val_steps=1)
    assert equal(weights(model.network)[0], hidden) == freeze
    assert not equal(weights(model.network)[1], drawn)
    n_trained = sum(len(group["params"]) for group in fit.optimizers[0].param_groups)
    assert n_trained == (2 if freeze else len(list(model.parameters())))


def test_weight_decay_leaves_frozen_layers_alone(trainer: TrainerFactory, trained: Any) -> None:
    path, hidden = trained(mlp(n_classes=10))
    build = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5)
    model = classifier(mlp(n_classes=10), init_from=path, freeze=True, optimizer=build)
    train(trainer, model)
    assert equal(weights(model.network)[0], hidden)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_penalties_leave_frozen_layers_out(penalty: str) -> None:
    batch = next(iter(loader(10)))
    network = mlp(n_classes=10)
    plain = classifier(network).training_step(batch)
    model = classifier(network, init_from="anywhere.ckpt", freeze=True, **{penalty: 0.3})
    weight = network.output_layer.weight
    expected = 0.3 * weight.abs().sum() if penalty == "l1" else 0.15 * weight.square().sum()
    torch.testing.assert_close(model.training_step(batch) - plain, expected)


def test_frozen_statistics_are_held_and_dropout_still_acts() -> None:
    model = classifier(Normed(10), init_from="anywhere.ckpt", freeze=True).train()
    modes = {type(module): module.training for module in model.network.hidden}  # type: ignore[union-attr]
    assert modes[nn.BatchNorm1d] is False
    assert modes[nn.Dropout] is True
    model.eval()
    assert not any(module.training for module in model.modules())
    trained = classifier(Normed(10), init_from="anywhere.ckpt").eval().train()
    assert all(module.training for module in trained.modules())


def test_the_statistics_of_the_output_layer_are_its_own_to_learn() -> None:
    network = Normed(10)
    network.output_layer = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 10))
    model = classifier(network, init_from="anywhere.ckpt", freeze=True).train()
    assert all(module.training for module in network.output_layer.modules())
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        f"network.output_layer.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias")
    }


def test_a_model_that_is_fitted_again_goes_on_from_where_it_is(trainer: TrainerFactory, trained: Any) -> None:
    path, hidden = trained(mlp(n_classes=10))
    rates = iter([0.1, 0.0])
    model = classifier(mlp(n_classes=10), init_from=path, optimizer=lambda p: torch.optim.SGD(p, lr=next(rates)))
    train(trainer, model)
    after = weights(model.network)[0]
    assert not equal(after, hidden)
    train(trainer, model)
    assert equal(weights(model.network)[0], after)


def test_a_state_that_was_restored_is_not_overwritten(trainer: TrainerFactory, trained: Any) -> None:
    path, hidden = trained(mlp(n_classes=10))
    other = classifier(mlp(n_classes=10))
    model = classifier(mlp(n_classes=10), init_from=path, optimizer=partial(torch.optim.SGD, lr=0.0))
    model.load_state_dict(other.state_dict())
    train(trainer, model)
    assert equal(weights(model.network)[0], weights(other.network)[0])
    assert not equal(weights(model.network)[0], hidden)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_training_goes_on_exactly_though_the_checkpoint_it_began_with_is_gone(
    trainer: TrainerFactory, trained: Any, tmp_path: Path, freeze: bool
) -> None:
    path, hidden = trained(mlp(n_classes=10))
    half = tmp_path / "half.ckpt"

    def go(n_epochs: int, *, seed: int, checkpoint: Path | None = None) -> tuple[Classifier, Trainer]:
        torch.manual_seed(seed)
        build = partial(torch.optim.Adam, lr=0.01)
        model = classifier(mlp(n_classes=10), init_from=path, freeze=freeze, optimizer=build)
        fit = trainer(max_epochs=n_epochs)
        fit.fit(model, loader(10, shuffle=False), loader(10, seed=2), ckpt_path=checkpoint, weights_only=True)
        return model, fit

    whole, _ = go(2, seed=3)
    go(1, seed=3)[1].save_checkpoint(half)
    path.unlink()
    resumed, fit = go(2, seed=4, checkpoint=half)
    assert fit.global_step == 8
    assert equal(weights(resumed.network)[0], weights(whole.network)[0])
    assert equal(weights(resumed.network)[1], weights(whole.network)[1])
    assert equal(weights(resumed.network)[0], hidden) == freeze


def test_evaluating_and_predicting_take_over_too(trainer: TrainerFactory, trained: Any) -> None:
    path, hidden = trained(mlp(n_classes=10))
    for use in ("validate", "test", "predict"):
        model = classifier(mlp(n_classes=10), init_from=path)
        options = {} if use == "predict" else {"verbose": False}
        images = [torch.randn(4, *SHAPE)] if use == "predict" else loader(10)
        getattr(trainer(), use)(model, images, **options)
        assert equal(weights(model.network)[0], hidden), use


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # process groups warn of much that is not ours
@pytest.mark.parametrize("freeze", [True, False])
def test_two_devices_take_over_what_one_does(
    trainer: TrainerFactory, trained: Any, tmp_path: Path, freeze: bool
) -> None:
    path, hidden = trained(mlp(n_classes=10))
    reached = []
    for arguments in ({"devices": 1}, {"devices": 2, "strategy": "ddp_fork"}):
        torch.manual_seed(6)
        model = classifier(mlp(n_classes=10), init_from=path, freeze=freeze)
        fit = trainer(max_epochs=2, **arguments)
        images = TensorLoader(torch.ones(10, *SHAPE), torch.zeros(10, dtype=torch.int64), batch_size=10, shuffle=False)
        fit.fit(model, images, images)
        reached.append(weights(model.network))
    assert equal(reached[0][0], hidden) == equal(reached[1][0], hidden) == freeze
    torch.testing.assert_close(reached[0], reached[1])


@pytest.mark.parametrize(
    ("theirs", "own", "told"),
    [
        (mlp, partial(mlp, width=8), ["layers.1 has bias (16,), weight (16, 64) there and bias (8,), weight (8, 64)"]),
        (mlp, partial(mlp, width=[16, 8]), ["layers.3 has bias (16,), weight (16, 16) there"]),
        (mlp, partial(mlp, input_shape=(1, 4, 4)), ["(16, 64) there", "(16, 16) here", "image_shape of the data"]),
        (mlp, partial(mlp, n_layers=1), ["has 3 layers of weights and the network 2", "(n_layers)"]),
        (cnn, partial(cnn, kernel_size=5), ["(4, 1, 3, 3) there", "(4, 1, 5, 5) here", "kernel_size", "layers.3 has"]),
        (cnn, partial(cnn, input_shape=(3, 8, 8)), ["(4, 1, 3, 3) there", "(4, 3, 3, 3) here"]),
        (mlp, cnn, ["weight (16, 64) there", "weight (4, 1, 3, 3) here"]),
    ],
)
def test_layers_that_do_not_fit_are_refused_in_one_error_that_names_them(
    trainer: TrainerFactory, trained: Any, theirs: MakeNetwork, own: MakeNetwork, told: list[str]
) -> None:
    path, _ = trained(theirs(n_classes=10))
    model = classifier(own(n_classes=10), init_from=path)
    before = weights(model.network)[0]
    with pytest.raises(ValueError, match=re.escape(f"init_from is {str(path)!r}: ")) as refused:
        trainer().validate(model, loader(10), verbose=False)
    for part in told:
        assert part in str(refused.value)
    assert equal(weights(model.network)[0], before)


def test_weights_that_are_not_finite_are_refused(trainer: TrainerFactory, trained: Any) -> None:
    network = mlp(n_classes=10)
    path, _ = trained(network)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["network.layers.3.bias"][2] = torch.nan
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"not finite in layers\.3: give a checkpoint of a training that did not"):
        train(trainer, classifier(mlp(n_classes=10), init_from=path))


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("folder", "cannot be read (Is a directory)"),
        (b"not a checkpoint", "is no checkpoint, or holds more"),
        (b"", "is no checkpoint, or holds more"),
        ("trap", "is no checkpoint, or holds more"),
        ({"state_dict": {"model.weight": torch.zeros(2)}}, "holds no weights of a network (network.…)"),
        ({"epoch": 3}, "holds no weights of a network (network.…)"),
        ({"state_dict": {"network.weight": 3}}, "holds no weights of a network (network.…)"),
        ([1, 2], "holds no weights of a network (network.…)"),
    ],
)
def test_a_file_that_is_no_checkpoint_of_a_classifier_is_refused(
    trainer: TrainerFactory, tmp_path: Path, content: Any, told: str
) -> None:
    path, sprung = tmp_path / "given.ckpt", tmp_path / "sprung"
    if content == "folder":
        path.mkdir()
    elif content == "trap":
        path.write_bytes(pickle.dumps({"state_dict": Trap(sprung)}))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    model = classifier(mlp(n_classes=10), init_from=path)
    with pytest.raises(ValueError, match=re.escape(f"init_from is {str(path)!r}: {told}")) as refused:
        train(trainer, model)
    assert "give a checkpoint that the training of a Classifier wrote" in str(refused.value)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("network", "arguments", "told"),
    [
        (mlp(n_classes=10), {"freeze": True}, "freeze is True: give init_from"),
        (mlp(n_classes=10, n_layers=0), {"init_from": "a.ckpt"}, "hidden layers is 0: with init_from, give"),
        (cnn(n_classes=10, n_layers=0), {"init_from": "a.ckpt"}, "hidden layers is 0: with init_from, give"),
        (nn.Linear(64, 10), {"init_from": "a.ckpt"}, "network is 'Linear': give it an attribute output_layer"),
    ],
)
def test_what_can_take_nothing_over_is_refused_at_once(
    network: nn.Module, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        classifier(network, **arguments)
