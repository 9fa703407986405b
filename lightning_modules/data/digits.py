"""Digits: 1,797 handwritten digits of 8×8 pixels (Alpaydin & Kaynak, 1998, the test part of UCI's data set 80).

scikit-learn takes a second to import, so `read` does it: only the first trial ever reads the images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from lightning_modules.data.data_set import ImageDataSet, LabelledImages, Labels, PixelScale
from lightning_modules.data.image_data_module import ImageDataModule
from lightning_modules.data.split import Split, stratified_split

SCALE = PixelScale(white=16, mean=0.3053, sd=0.3760)  # of all 1,797 images; a pixel counts the ink in 4×4 points
HELD_OUT_SHARE = 0.15  # for validation, and again for test


@dataclass(frozen=True)
class EmbeddedDigits(ImageDataSet):
    """The images inside scikit-learn: nothing is downloaded."""

    scale: PixelScale = SCALE

    def name(self) -> str:
        """Return a fixed name: the images never change."""
        return "Digits-embedded"

    def read(self) -> LabelledImages:
        """Return all images."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = digits.images[:, np.newaxis].astype(np.uint8)
        return LabelledImages(pixels=pixels, labels=digits.target.astype(np.int64))

    def split(self, labels: Labels, *, seed: int) -> Split:
        """Train on 70 %, validate and test on 15 % each, every digit in its share."""
        n_held_out = round(HELD_OUT_SHARE * len(labels))
        return stratified_split(labels, n_val=n_held_out, n_test=n_held_out, seed=seed)


class Digits(ImageDataModule):
    """Handwritten digits, 1×8×8: trains on 1,257 images, validates and tests on 270 each."""

    sources: ClassVar[Mapping[str, Callable[[str], ImageDataSet]]] = MappingProxyType({"embedded": EmbeddedDigits})
