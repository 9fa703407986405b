"""The first weights of a network, by name.

Every scheme but `default` draws the weights of each linear and convolutional layer and sets its biases to zero.
`default` keeps torch's draws. The Xavier, Kaiming and orthogonal schemes are scaled by the gain of the activation
(torch.nn.init.calculate_gain). Torch knows no gain for gelu, silu and elu. They take the gain of relu, √2, as they
approach its shape far from zero (He et al., 2015, arXiv:1502.01852, derive it for relu).
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from lightning_modules.checks import lookup

Nonlinearity = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
Scheme = Callable[[Tensor, Nonlinearity], object]

GAIN_OF: Mapping[str, Nonlinearity] = MappingProxyType(
    {
        "relu": "relu",
        "leaky_relu": "leaky_relu",
        "gelu": "relu",
        "silu": "relu",
        "tanh": "tanh",
        "sigmoid": "sigmoid",
        "elu": "relu",
    }
)
LEAK = 0.01  # slope of nn.LeakyReLU below zero; torch ignores it for other activations


def initialize(network: nn.Module, *, initialization: str, activation: str) -> None:
    """Draw every linear and convolutional weight of the network anew, in place. Biases become zero.

    Raises ValueError for an unknown initialization or activation.
    """
    nonlinearity = lookup(GAIN_OF, key="activation", name=activation)
    scheme = lookup(SCHEMES, key="initialization", name=initialization)
    if scheme is None:
        return
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            scheme(layer.weight, nonlinearity)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _normal(weight: Tensor, _: Nonlinearity) -> object:
    return nn.init.normal_(weight, std=0.01)


def _zeros(weight: Tensor, _: Nonlinearity) -> object:
    return nn.init.zeros_(weight)


def _with_gain(weight: Tensor, nonlinearity: Nonlinearity, *, draw: Callable[..., Tensor]) -> object:
    return draw(weight, gain=nn.init.calculate_gain(nonlinearity, LEAK))


def _kaiming(weight: Tensor, nonlinearity: Nonlinearity, *, draw: Callable[..., Tensor]) -> object:
    return draw(weight, a=LEAK, nonlinearity=nonlinearity)


SCHEMES: Mapping[str, Scheme | None] = MappingProxyType(
    {
        "default": None,
        "normal": _normal,
        "xavier_uniform": partial(_with_gain, draw=nn.init.xavier_uniform_),
        "xavier_normal": partial(_with_gain, draw=nn.init.xavier_normal_),
        "kaiming_uniform": partial(_kaiming, draw=nn.init.kaiming_uniform_),
        "kaiming_normal": partial(_kaiming, draw=nn.init.kaiming_normal_),
        "orthogonal": partial(_with_gain, draw=nn.init.orthogonal_),
        "zeros": _zeros,
    }
)
