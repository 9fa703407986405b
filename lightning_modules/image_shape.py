"""The shape of one image, (channels, height, width), as networks and data agree on it."""

from collections.abc import Sequence

from lightning_modules.checks import require

ImageShape = tuple[int, int, int]


def image_shape_of(shape: Sequence[int], *, key: str) -> ImageShape:
    """Return the shape as a tuple; raise ValueError with the key unless it is three positive numbers."""
    remedy = "give three numbers of 1 or more: channels, height and width in pixels"
    sides = tuple(shape)
    require(len(sides) == 3 and all(side >= 1 for side in sides), key=key, value=sides, remedy=remedy)
    channels, height, width = sides
    return channels, height, width
