"""The generated data set: what decides it, how it is parted, and that it takes more than a linear model."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from images import rows
from pytorch_lightning import Trainer

from lightning_modules import MLP, Classifier, Gratings

TrainerFactory = Callable[..., Trainer]
SMALL: dict[str, Any] = {"n_train": 200, "n_val": 50, "n_test": 30}


def ready(data_dir: str, **arguments: Any) -> Gratings:
    module = Gratings(data_dir=data_dir, **arguments)
    module.setup()
    return module


def everything(module: Gratings) -> set[bytes]:
    return rows(torch.cat([module.train[0], module.val[0], module.test[0]]))


def test_parts_have_their_sizes_balanced_classes_and_no_image_in_common(data_dir: str) -> None:
    module = ready(data_dir)
    parts = [module.train, module.val, module.test]
    assert [len(images) for images, _ in parts] == [3500, 1500, 1500]
    assert [set(torch.bincount(labels).tolist()) for _, labels in parts] == [{350}, {150}, {150}]
    assert len(everything(module)) == 6500


def test_pixels_are_standardised_at_the_default_noise(data_dir: str) -> None:
    images = ready(data_dir).train[0]
    assert images.shape[1:] == (1, 16, 16)
    assert images.mean().item() == pytest.approx(0, abs=0.005)
    assert images.std().item() == pytest.approx(1, abs=0.005)


def test_the_images_depend_on_their_own_seed_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    places = [str(tmp_path_factory.mktemp("place")) for _ in range(2)]
    torch.manual_seed(1)
    first = ready(places[0], **SMALL)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = ready(places[1], **SMALL)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.train[0], again.train[0])
    assert torch.equal(first.train[1], again.train[1])
    split_anew = ready(places[0], split_seed=1, **SMALL)
    assert everything(split_anew) == everything(first)
    assert not torch.equal(split_anew.train[0], first.train[0])
    assert not everything(ready(places[0], data_seed=1, **SMALL)) & everything(first)


@pytest.mark.parametrize(("key", "value"), [("data_seed", 1), ("noise", 0.1), ("n_train", 210), ("n_val", 60)])
def test_what_changes_the_parts_is_prepared_anew(data_dir: str, key: str, value: float) -> None:
    first = ready(data_dir, **SMALL)
    other = ready(data_dir, **(SMALL | {key: value}))
    assert first.data_set.name() != other.data_set.name()
    assert not torch.equal(first.val[0][:10], other.val[0][:10])


def test_without_noise_a_class_is_the_direction_of_its_stripes(data_dir: str) -> None:
    """The gradients of an image's brightness lie across its stripes: their mean doubled angle is the class's."""
    images, labels = ready(data_dir, noise=0.0, **SMALL).train
    down, right = torch.gradient(images[:, 0], dim=(1, 2))
    doubled = torch.atan2((2 * right * down).sum((1, 2)), (right**2 - down**2).sum((1, 2)))
    found = (doubled / (2 * torch.pi) * 10).round().long() % 10
    assert (found == labels).float().mean() > 0.95


def test_images_are_resized_to_the_shape_of_another_data_set(data_dir: str) -> None:
    assert ready(data_dir, image_shape=[1, 8, 8], **SMALL).train[0].shape == (200, 1, 8, 8)
    assert ready(data_dir, image_shape=[3, 28, 28], **SMALL).train[0].shape == (200, 3, 28, 28)


def test_a_linear_model_learns_next_to_nothing_and_a_small_network_most(trainer: TrainerFactory, data_dir: str) -> None:
    reached = []
    for n_layers in (0, 1):
        torch.manual_seed(0)
        network = MLP(input_shape=(1, 16, 16), n_classes=10, n_layers=n_layers)
        model = Classifier(network, optimizer=partial(torch.optim.Adam, lr=3e-3, fused=True))
        fit = trainer(max_epochs=8)
        fit.fit(model, Gratings(data_dir=data_dir, batch_size=64))
        reached.append(fit.callback_metrics["val/accuracy"].item())
    assert reached[0] < 0.25
    assert reached[1] > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_seed": -1}, "data_seed is -1: give a whole number"),
        ({"n_train": 9}, "n_train is 9: give 10 images or more"),
        ({"n_val": 0}, "n_val is 0: give"),
        ({"n_test": 0}, "n_test is 0: give"),
        ({"noise": -0.1}, "noise is -0.1: give"),
        ({"noise": float("nan")}, "noise is nan: give"),
        ({"source": "embedded"}, "source is 'embedded': did you mean 'generated'"),
        ({"batch_size": 0}, "batch_size is 0: give"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gratings(**arguments)
