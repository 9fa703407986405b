"""Gratings: striped patches in ten directions, generated from a seed. A task unlike reading digits.

The class is the direction of the stripes alone. Phase, wavelength, contrast and place of the patch are drawn for each
image. So all classes have the same mean image, and a linear model is hardly better than chance. NOISE and ENVELOPE were
set by hand, so that a small MLP (64 units, Adam at 3e-3) is right on about nine images of ten. The best settings for
the task played no part in that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lightning_modules.augmentation import Augmentation
from lightning_modules.checks import require_number, require_whole
from lightning_modules.data.data_set import ImageDataSet, LabelledImages, Labels, PixelScale
from lightning_modules.data.image_data_module import ImageDataModule
from lightning_modules.data.split import Split, stratified_split

MOST_IMAGES = 10_000_000  # 10 GB of them
N_CLASSES = 10  # directions, 18 degrees apart
SIDE = 16  # pixels
WAVELENGTH = (4.5, 8.0)  # pixels; the shortest survives at half the side
CONTRAST = (0.3, 1.0)  # of AMPLITUDE
AMPLITUDE = 0.35  # at most, in fractions of white, around a grey of one half
SHIFT = 2.0  # pixels, at most, between the patch and the image's centre on each axis
ENVELOPE = 6.0  # pixels: standard deviation of the patch's Gaussian edge
NOISE = 0.2  # standard deviation, of white
SCALE = PixelScale(white=255, mean=0.5, sd=0.2202)  # of 100,000 images with that noise
BLOCK = 1000  # images drawn at once: bounds the memory


@dataclass(frozen=True)
class GeneratedGratings(ImageDataSet):
    """Images drawn from the seed, with equally many of each class, to within one."""

    scale: PixelScale = SCALE
    seed: int = 0
    n_train: int = 3500
    n_val: int = 1500
    n_test: int = 1500
    noise: float = NOISE

    def __post_init__(self) -> None:
        remedy = "give a whole number of 0 or more"
        require_whole(self.seed, key="data_seed", low=0, high=2**32 - 1, remedy=remedy)
        remedy = f"give {N_CLASSES} images or more, one of each class"
        require_whole(self.n_train, key="n_train", low=N_CLASSES, high=MOST_IMAGES, remedy=remedy)
        require_whole(self.n_val, key="n_val", low=1, high=MOST_IMAGES, remedy="give 1 image or more")
        require_whole(self.n_test, key="n_test", low=1, high=MOST_IMAGES, remedy="give 1 image or more")
        remedy = "give a standard deviation of 0 or more, as a fraction of white"
        require_number(self.noise, key="noise", low=0, remedy=remedy)

    def name(self) -> str:
        """Return a name with every argument of the draw."""
        sizes = f"{self.n_train}+{self.n_val}+{self.n_test}"
        return f"Gratings-seed{self.seed}-noise{self.noise!r}-{sizes}"

    def read(self) -> LabelledImages:
        """Return all images, drawn by a generator of their own."""
        labels = np.arange(self.n_train + self.n_val + self.n_test, dtype=np.int64) % N_CLASSES
        random = np.random.default_rng(self.seed)
        blocks = [
            _draw(labels[start : start + BLOCK], random=random, noise=self.noise)
            for start in range(0, len(labels), BLOCK)
        ]
        return LabelledImages(pixels=np.concatenate(blocks)[:, np.newaxis], labels=labels)

    def split(self, labels: Labels, *, seed: int) -> Split:
        """Split the images into the requested sizes, every class in its share."""
        return stratified_split(labels, n_val=self.n_val, n_test=self.n_test, seed=seed)


class Gratings(ImageDataModule):
    """Striped patches, 1×16×16, in ten directions: trains on 3,500 images, validates and tests on 1,500 each.

    data_seed alone decides the images. n_train, n_val and n_test are the sizes of the parts. noise is the standard
    deviation of each pixel's noise as a fraction of white, and decides how hard the task is. Pixels are standardised by
    constants of the default noise. Raises ValueError for an argument outside its range.
    """

    sources: ClassVar[Mapping[str, Callable[[str], ImageDataSet]]] = MappingProxyType({"generated": GeneratedGratings})

    def __init__(
        self,
        *,
        source: str | None = None,
        data_dir: str = "data",
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 1024,
        image_shape: Sequence[int] | None = None,
        n_classes: int = N_CLASSES,
        augmentation: Augmentation | None = None,
        data_seed: int = 0,
        n_train: int = 3500,
        n_val: int = 1500,
        n_test: int = 1500,
        noise: float = NOISE,
    ) -> None:
        super().__init__(
            source=source,
            data_dir=data_dir,
            split_seed=split_seed,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            image_shape=image_shape,
            n_classes=n_classes,
            augmentation=augmentation,
        )
        self.data_set = GeneratedGratings(
            self.data_set.data_dir, seed=data_seed, n_train=n_train, n_val=n_val, n_test=n_test, noise=noise
        )


def _draw(labels: Labels, *, random: np.random.Generator, noise: float) -> NDArray[np.uint8]:
    """Draw an image (n, height, width) for each label (n,)."""
    n = len(labels)
    angle = _each(labels.astype(np.float64) * np.pi / N_CLASSES)
    phase = _each(random.uniform(0, 2 * np.pi, n))
    shortest, longest = WAVELENGTH
    wavelength = _each(shortest * (longest / shortest) ** random.random(n))
    contrast = _each(random.uniform(CONTRAST[0], CONTRAST[1], n))
    right, down = (_each(random.uniform(-SHIFT, SHIFT, n)) for _ in range(2))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    x, y = x - right, y - down
    across = x * np.cos(angle) + y * np.sin(angle)
    envelope = np.exp(-(x**2 + y**2) / (2 * ENVELOPE**2))
    stripes = AMPLITUDE * contrast * envelope * np.cos(2 * np.pi * across / wavelength + phase)
    grey = 0.5 + stripes + noise * random.standard_normal((n, SIDE, SIDE))
    pixels: NDArray[np.uint8] = np.rint(255 * grey).clip(0, 255).astype(np.uint8)
    return pixels


def _each(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number for each image, in a shape that broadcasts over its pixels."""
    return draws[:, np.newaxis, np.newaxis]
