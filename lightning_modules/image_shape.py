"""The shape of an image, (channels, height, width), for networks and data."""

from collections.abc import Sequence

from lightning_modules.checks import is_whole, require

MOST_PIXELS = 100_000  # of a side
ImageShape = tuple[int, int, int]


def image_shape_of(shape: Sequence[int], *, key: str) -> ImageShape:
    """Return the shape as a tuple. Raises ValueError with the key unless it is three positive numbers."""
    remedy = "give three numbers of 1 or more: channels, height and width in pixels"
    require(isinstance(shape, Sequence) and len(shape) == 3, key=key, value=shape, remedy=remedy)
    sides = tuple(shape)
    require(all(is_whole(side, low=1, high=MOST_PIXELS) for side in sides), key=key, value=sides, remedy=remedy)
    channels, height, width = sides
    return channels, height, width
