from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules import CNN, MLP

SHAPE = (1, 8, 8)


def n_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def linear_shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, nn.Linear)]


def test_mlp_without_hidden_layers_is_a_linear_model() -> None:
    network = MLP(input_shape=SHAPE, n_classes=10, n_layers=0)
    assert linear_shapes(network) == [(10, 64)]
    a, b = torch.rand(2, 5, *SHAPE)
    torch.testing.assert_close(network(a) + network(b), network(a + b) + network(torch.zeros_like(a)))


def test_mlp_repeats_one_width_and_follows_a_list_of_widths() -> None:
    assert linear_shapes(MLP(input_shape=SHAPE, n_classes=10, n_layers=2, width=16)) == [(16, 64), (16, 16), (10, 16)]
    assert linear_shapes(MLP(input_shape=SHAPE, n_classes=3, n_layers=2, width=[32, 8])) == [(32, 64), (8, 32), (3, 8)]


def test_cnn_has_the_parameters_counted_by_hand() -> None:
    network = CNN(input_shape=(3, 8, 8), n_classes=10, n_layers=2, width=4, kernel_size=5)
    first, second = 4 * (3 * 25 + 1), 8 * (4 * 25 + 1)
    assert n_parameters(network) == first + second + 10 * (8 * 2 * 2 + 1)
    assert network(torch.rand(7, 3, 8, 8)).shape == (7, 10)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_cnn_stops_pooling_at_one_pixel(kernel_size: int) -> None:
    network = CNN(input_shape=(1, 8, 6), n_classes=10, n_layers=5, width=2, kernel_size=kernel_size)
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in network.modules()) == 2  # 8×6, 4×3, 2×1
    assert network(torch.rand(2, 1, 8, 6)).shape == (2, 10)


def test_cnn_without_blocks_is_a_linear_model() -> None:
    network = CNN(input_shape=SHAPE, n_classes=10, n_layers=0, dropout=0.5)
    assert n_parameters(network) == 650
    assert [type(layer) for layer in network.layers] == [nn.Flatten, nn.Linear]


@pytest.mark.parametrize("network_type", [MLP, CNN])
def test_dropout_acts_in_training_only(network_type: type[nn.Module]) -> None:
    network = network_type(input_shape=SHAPE, n_classes=10, dropout=0.5)
    images = torch.rand(4, *SHAPE)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("network_type", [MLP, CNN])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dropout": 1.0}, r"dropout is 1\.0: give a probability in \[0, 1\)"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"n_layers": -1}, "n_layers is -1: give"),
        ({"width": 0}, "width is 0: give"),
        ({"n_classes": 0}, "n_classes is 0: give"),
        ({"activation": "rellu"}, "activation is 'rellu': did you mean 'relu'"),
        ({"activation": "rellu", "n_layers": 0}, "activation is 'rellu': did you mean 'relu'"),
        ({"initialization": "kaimin_normal"}, "initialization is 'kaimin_normal': did you mean 'kaiming_normal'"),
        ({"input_shape": (8, 8)}, r"input_shape is \(8, 8\): give three numbers"),
        ({"input_shape": (1, 0, 8)}, r"input_shape is \(1, 0, 8\)"),
    ],
)
def test_wrong_arguments_are_refused(network_type: type[nn.Module], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network_type(**({"input_shape": SHAPE, "n_classes": 10} | wrong))


def test_one_width_for_each_hidden_layer_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"width is \[16, 8\]: give one number, or a list with one for each of the 3"):
        MLP(input_shape=SHAPE, n_classes=10, n_layers=3, width=[16, 8])
    with pytest.raises(ValueError, match=r"width is \[16, 0\]"):
        MLP(input_shape=SHAPE, n_classes=10, n_layers=2, width=[16, 0])


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size is 4: give an odd number"):
        CNN(input_shape=SHAPE, n_classes=10, kernel_size=4)
