"""Images as bytes: one by one, to compare sets of them, and as an IDX file holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def rows(images: Tensor) -> set[bytes]:
    """Each image."""
    return {image.numpy().tobytes() for image in images}


def idx_bytes(array: NDArray[Any]) -> bytes:
    """The array as an IDX file of unsigned bytes."""
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()
