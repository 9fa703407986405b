"""The definition of an image data set: its pixels, their scale, and its split."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.split import Split

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Raw pixels (n, channels, height, width) from 0 to white, and labels (n,) from 0."""

    pixels: NDArray[np.uint8]
    labels: Labels


@dataclass(frozen=True, slots=True)
class PixelScale:
    """The raw value of white, and the mean and standard deviation of pixels that were divided by it.

    These are constants of a data set, so models see the same numbers whatever the split.
    """

    white: float
    mean: float
    sd: float


@dataclass(frozen=True)
class ImageDataSet(ABC):
    """A data set with files in data_dir and a pixel scale. Equal ones are loaded once a process."""

    data_dir: str
    scale: PixelScale

    @abstractmethod
    def name(self) -> str:
        """Return a name for files. It differs whenever the content does."""

    @abstractmethod
    def read(self) -> LabelledImages:
        """Return all images. Its error says what is missing and how to get it."""

    @abstractmethod
    def split(self, labels: Labels, *, seed: int) -> Split:
        """Split the samples, whose labels have shape (n,), by this seed."""
