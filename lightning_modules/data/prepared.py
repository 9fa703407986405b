"""Images as models see them, split for training, validation and test: made once, mapped by every process.

Context: dozens of workers, thousands of trials, one data set. Choice: the parts are stored, standardised and in order,
under data_dir/prepared. So a part is a map of a file, and no worker or trial copies it. Cost: one folder on disk for
each split seed and image shape (220 MB for all of MNIST). Any of them may be deleted between studies.
"""

import zlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.checks import require
from lightning_modules.data.array_folder import Array, read_arrays, write_arrays
from lightning_modules.data.data_set import ImageDataSet, LabelledImages, PixelScale
from lightning_modules.image_shape import ImageShape

PREPARATION = 1  # raise it whenever the code below or a split rule changes the stored data

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class PreparedImages:
    """Three parts, each of standardised images (n, channels, height, width), float32, and labels (n,), int64."""

    train: Part
    val: Part
    test: Part


@lru_cache(maxsize=8)
def load_prepared(data_set: ImageDataSet, *, image_shape: ImageShape | None, split_seed: int) -> PreparedImages:
    """Return the parts of the data set, resized to the image shape (None: as they are), and keep them for the next
    caller.

    Raises ValueError if the images cannot take that shape, and the data set's own error if it cannot be read.
    """
    folder = _folder(data_set, image_shape=image_shape, split_seed=split_seed)
    if not folder.is_dir():
        write_arrays(folder, _prepare(data_set, image_shape=image_shape, split_seed=split_seed))
    parts = {}
    for field in fields(PreparedImages):
        images, labels = read_arrays(folder, f"{field.name}_images", f"{field.name}_labels")
        parts[field.name] = (torch.from_numpy(images), torch.from_numpy(labels))
    return PreparedImages(**parts)


def standardise(images: LabelledImages, *, scale: PixelScale, image_shape: ImageShape | None) -> Tensor:
    """Return float32 pixels with the scale's mean at 0 and its standard deviation at 1, resized bilinearly if asked.

    One channel is repeated if the shape has several. Other changes of the number of channels raise ValueError.
    """
    pixels = torch.from_numpy(images.pixels.astype(np.float32))
    pixels = (pixels / scale.white - scale.mean) / scale.sd
    if image_shape is None:
        return pixels
    n_channels, height, width = image_shape
    if (height, width) != pixels.shape[2:]:
        pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    n_native = pixels.shape[1]
    remedy = f"give {n_native}, the channels that the images have (only a single one can be repeated)"
    require(n_native in (1, n_channels), key="image_shape[0]", value=n_channels, remedy=remedy)
    return pixels if n_native == n_channels else pixels.repeat(1, n_channels, 1, 1)


def _folder(data_set: ImageDataSet, *, image_shape: ImageShape | None, split_seed: int) -> Path:
    """Return a folder with every cause of its content in the name, so that studies never share a wrong preparation."""
    shape = "native" if image_shape is None else "x".join(map(str, image_shape))
    rules = zlib.crc32(repr((PREPARATION, data_set.scale)).encode())
    return Path(data_set.data_dir, "prepared", f"{data_set.name()}_{shape}_split{split_seed}_{rules:08x}")


def _prepare(data_set: ImageDataSet, *, image_shape: ImageShape | None, split_seed: int) -> dict[str, Array]:
    images = data_set.read()
    pixels = standardise(images, scale=data_set.scale, image_shape=image_shape).numpy()
    split = data_set.split(images.labels, seed=split_seed)
    arrays: dict[str, Array] = {}
    for part in fields(PreparedImages):
        indices = getattr(split, part.name)
        arrays[f"{part.name}_images"] = pixels[indices]
        arrays[f"{part.name}_labels"] = images.labels[indices]
    return arrays
