"""The convolutional network: blocks of convolution, activation and pooling, then one linear layer to the classes."""

from collections.abc import Sequence

from torch import Tensor, nn

from lightning_modules.activation import build_activation
from lightning_modules.checks import MOST_LAYERS, MOST_UNITS, require, require_number, require_whole
from lightning_modules.image_shape import image_shape_of
from lightning_modules.initialization import initialize


class CNN(nn.Module):
    """Logits of shape (batch, n_classes) for images of shape (batch, *input_shape).

    input_shape is (channels, height, width) in pixels. Block i of n_layers has width·2^i channels, keeps the image's
    size by padding, and halves it by 2×2 maximum pooling while both sides are wider than one pixel. kernel_size is odd,
    as an even kernel cannot be centred. Dropout acts on the input of the linear layer, except without blocks (n_layers
    0, a linear model). Raises ValueError for an argument outside its range.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        n_classes: int,
        n_layers: int = 2,
        width: int = 16,
        kernel_size: int = 3,
        dropout: float = 0.0,
        activation: str = "relu",
        initialization: str = "default",
    ) -> None:
        super().__init__()
        remedy = "give the number of classes, 1 or more"
        require_whole(n_classes, key="n_classes", low=1, high=MOST_UNITS, remedy=remedy)
        remedy = "give the number of blocks, 0 or more"
        require_whole(n_layers, key="n_layers", low=0, high=MOST_LAYERS, remedy=remedy)
        remedy = "give the first block's number of channels, 1 or more"
        require_whole(width, key="width", low=1, high=MOST_UNITS, remedy=remedy)
        remedy = "give an odd number of pixels, 1 or more"
        require_whole(kernel_size, key="kernel_size", low=1, high=MOST_UNITS, remedy=remedy)
        require(kernel_size % 2 == 1, key="kernel_size", value=kernel_size, remedy=remedy)
        require_number(dropout, key="dropout", low=0, below=1, remedy="give a probability in [0, 1)")
        n_channels, height, width_px = image_shape_of(input_shape, key="input_shape")
        layers: list[nn.Module] = []
        for block in range(n_layers):
            padding = kernel_size // 2
            layers += [nn.Conv2d(n_channels, width * 2**block, kernel_size, padding=padding)]
            layers += [build_activation(activation)]
            n_channels = width * 2**block
            if min(height, width_px) > 1:
                layers += [nn.MaxPool2d(2)]
                height, width_px = height // 2, width_px // 2
        layers += [nn.Flatten()]
        layers += [nn.Dropout(dropout)] if dropout and n_layers else []
        self.layers = nn.Sequential(*layers, nn.Linear(n_channels * height * width_px, n_classes))
        initialize(self, initialization=initialization, activation=activation)

    @property
    def output_layer(self) -> nn.Module:
        """The linear layer to the classes."""
        return self.layers[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to logits (batch, n_classes)."""
        logits: Tensor = self.layers(images)
        return logits
