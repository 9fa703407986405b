"""The non-linearity between two layers, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from lightning_modules.checks import lookup

ACTIVATIONS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "elu": nn.ELU,
    }
)


def build_activation(name: str) -> nn.Module:
    """Return a new module of that name with torch's own defaults. Raises ValueError for an unknown name."""
    return lookup(ACTIVATIONS, key="activation", name=name)()
