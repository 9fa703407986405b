import math

import pytest
import torch
from torch import nn

from lightning_modules.activation import ACTIVATIONS
from lightning_modules.initialization import GAIN_OF, SCHEMES, initialize

N_IN, N_OUT = 400, 300


def drawn(initialization: str, activation: str = "relu") -> nn.Linear:
    layer = nn.Linear(N_IN, N_OUT)
    initialize(nn.Sequential(layer), initialization=initialization, activation=activation)
    return layer


def test_default_leaves_what_torch_drew() -> None:
    layer = nn.Linear(4, 3)
    before = layer.weight.clone(), layer.bias.clone()
    initialize(layer, initialization="default", activation="relu")
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])


@pytest.mark.parametrize(
    ("initialization", "activation", "sd"),
    [
        ("normal", "relu", 0.01),
        ("xavier_uniform", "sigmoid", math.sqrt(2 / (N_IN + N_OUT))),
        ("xavier_normal", "tanh", 5 / 3 * math.sqrt(2 / (N_IN + N_OUT))),
        ("xavier_normal", "gelu", math.sqrt(2) * math.sqrt(2 / (N_IN + N_OUT))),
        ("kaiming_uniform", "relu", math.sqrt(2 / N_IN)),
        ("kaiming_normal", "silu", math.sqrt(2 / N_IN)),
        ("kaiming_normal", "elu", math.sqrt(2 / N_IN)),
        ("kaiming_normal", "leaky_relu", math.sqrt(2 / 1.0001 / N_IN)),
        ("kaiming_normal", "sigmoid", math.sqrt(1 / N_IN)),
        ("zeros", "relu", 0.0),
    ],
)
def test_weights_have_the_spread_of_their_formula(initialization: str, activation: str, sd: float) -> None:
    weight = drawn(initialization, activation).weight
    assert weight.std().item() == pytest.approx(sd, rel=0.01)  # 120,000 draws: 0.2 % standard error
    assert abs(weight.mean().item()) <= sd / 50


def test_uniform_schemes_are_bounded_and_normal_ones_are_not() -> None:
    bound = math.sqrt(6 / N_IN)
    assert drawn("kaiming_uniform").weight.abs().max() <= bound
    assert drawn("kaiming_normal").weight.abs().max() > bound


def test_orthogonal_rows_are_orthogonal_with_the_gain_as_length() -> None:
    weight = drawn("orthogonal", "tanh").weight
    torch.testing.assert_close(weight @ weight.T, (5 / 3) ** 2 * torch.eye(N_OUT), atol=1e-4, rtol=0)


@pytest.mark.parametrize("initialization", [name for name in SCHEMES if name != "default"])
def test_every_layer_is_drawn_and_every_bias_is_zero(initialization: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False), nn.Linear(4, 4))
    before = [parameter.clone() for parameter in network.parameters()]
    initialize(network, initialization=initialization, activation="relu")
    assert all(not torch.equal(new, old) for new, old in zip(network.parameters(), before, strict=True))
    assert all(not parameter.any() for name, parameter in network.named_parameters() if name.endswith("bias"))


def test_every_activation_has_a_gain() -> None:
    assert list(GAIN_OF) == list(ACTIVATIONS)
