"""The multi-layer perceptron: hidden layers on the flattened image, then one linear layer to the classes."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from lightning_modules.activation import build_activation
from lightning_modules.checks import require
from lightning_modules.image_shape import image_shape_of
from lightning_modules.initialization import initialize


class MLP(nn.Module):
    """Logits of shape (batch, n_classes) for images of shape (batch, *input_shape).

    input_shape is (channels, height, width) in pixels; n_layers counts the hidden layers, 0 being a linear model; width
    is the number of units of every hidden layer, or a list with one number for each. Dropout follows each activation.
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
        require(n_classes >= 1, key="n_classes", value=n_classes, remedy="give the number of classes, 1 or more")
        require(0 <= dropout < 1, key="dropout", value=dropout, remedy="give a probability in [0, 1)")
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
    require(n_layers >= 0, key="n_layers", value=n_layers, remedy="give the number of hidden layers, 0 or more")
    widths = [width] * n_layers if isinstance(width, int) else list(width)
    remedy = f"give one number, or a list with one for each of the {n_layers} hidden layers"
    require(len(widths) == n_layers, key="width", value=widths, remedy=remedy)
    all_widths = [width] if isinstance(width, int) else widths
    require(all(n >= 1 for n in all_widths), key="width", value=width, remedy="give 1 unit or more")
    return widths
