"""The multi-layer perceptron: hidden layers on the flattened image, then one linear layer to the classes."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from lightning_modules.activation import build_activation
from lightning_modules.checks import MOST_LAYERS, MOST_UNITS, is_whole, require, require_number, require_whole
from lightning_modules.image_shape import image_shape_of
from lightning_modules.initialization import initialize


class MLP(nn.Module):
    """Logits of shape (batch, n_classes) for images of shape (batch, *input_shape).

    input_shape is (channels, height, width) in pixels. n_layers counts the hidden layers: 0 is a linear model. width is
    the number of units of every hidden layer, or a list with one number for each. Dropout follows each activation.
    Raises ValueError for an argument outside its range.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        n_classes: int,
        n_layers: int = 1,
        width: int | Sequence[int] = 64,
        dropout: float = 0.0,
        activation: str = "relu",
        initialization: str = "default",
    ) -> None:
        super().__init__()
        remedy = "give the number of classes, 1 or more"
        require_whole(n_classes, key="n_classes", low=1, high=MOST_UNITS, remedy=remedy)
        require_number(dropout, key="dropout", low=0, below=1, remedy="give a probability in [0, 1)")
        layers: list[nn.Module] = [nn.Flatten()]
        n_inputs = prod(image_shape_of(input_shape, key="input_shape"))
        for n_units in _widths(width, n_layers=n_layers):
            layers += [nn.Linear(n_inputs, n_units), build_activation(activation)]
            layers += [nn.Dropout(dropout)] if dropout else []
            n_inputs = n_units
        self.layers = nn.Sequential(*layers, nn.Linear(n_inputs, n_classes))
        initialize(self, initialization=initialization, activation=activation)

    @property
    def output_layer(self) -> nn.Module:
        """The linear layer to the classes."""
        return self.layers[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to logits (batch, n_classes)."""
        logits: Tensor = self.layers(images)
        return logits


def _widths(width: int | Sequence[int], *, n_layers: int) -> list[int]:
    remedy = "give the number of hidden layers, 0 or more"
    require_whole(n_layers, key="n_layers", low=0, high=MOST_LAYERS, remedy=remedy)
    listed = list(width) if isinstance(width, Sequence) else [width]
    remedy = f"give 1 unit or more, at most {MOST_UNITS}"
    require(all(is_whole(n, low=1, high=MOST_UNITS) for n in listed), key="width", value=width, remedy=remedy)
    widths = listed if isinstance(width, Sequence) else listed * n_layers
    remedy = f"give one number, or a list with one for each of the {n_layers} hidden layers"
    require(len(widths) == n_layers, key="width", value=widths, remedy=remedy)
    return widths
