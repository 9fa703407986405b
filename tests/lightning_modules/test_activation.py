import math

import pytest
import torch

from lightning_modules.activation import ACTIVATIONS, build_activation


@pytest.mark.parametrize(
    ("name", "at_minus_one", "at_two"),
    [
        ("relu", 0.0, 2.0),
        ("leaky_relu", -0.01, 2.0),
        ("gelu", -0.5 * (1 + math.erf(-1 / math.sqrt(2))), 1 + math.erf(math.sqrt(2))),
        ("silu", -1 / (1 + math.e), 2 / (1 + math.exp(-2))),
        ("tanh", math.tanh(-1), math.tanh(2)),
        ("sigmoid", 1 / (1 + math.e), 1 / (1 + math.exp(-2))),
        ("elu", math.exp(-1) - 1, 2.0),
    ],
)
def test_activations_take_their_values(name: str, at_minus_one: float, at_two: float) -> None:
    torch.testing.assert_close(build_activation(name)(torch.tensor([-1.0, 2.0])), torch.tensor([at_minus_one, at_two]))


def test_an_unknown_activation_shows_the_nearest_and_all() -> None:
    with pytest.raises(ValueError, match=f"activation is 'sigmod': did you mean 'sigmoid'.*{', '.join(ACTIVATIONS)}"):
        build_activation("sigmod")
