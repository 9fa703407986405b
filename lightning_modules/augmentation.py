"""Random changes of training images, drawn for each image of a batch, on the device of the batch.

All geometric changes are one affine map, so an image is resampled (and blurred) once, however many changes are asked
for. Pixels from outside the image repeat its border. Zero would be a grey on standardised pixels, not the background.
"""

from dataclasses import dataclass
from math import nextafter, pi

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.checks import LARGEST, require, require_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """A callable that changes a float batch (batch, channels, height, width) at random. All zeros change nothing.

    Each image is turned by up to ±rotation degrees, enlarged by a factor in 1 ± scaling, and moved by up to
    ±translation of each side. These draws are uniform. Then it is mirrored left to right and top to bottom with the two
    flip probabilities. Each pixel gets normal noise of this standard deviation, in units of the batch's pixels. Draws
    come from torch's global generator of the batch's device. Raises ValueError for a strength outside its range.
    """

    rotation: float = 0.0
    scaling: float = 0.0
    translation: float = 0.0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for key, most, remedy in (
            ("rotation", 180.0, "give degrees in [0, 180]"),
            ("scaling", nextafter(1, 0), "give a fraction in [0, 1)"),
            ("translation", 1.0, "give a fraction of the side in [0, 1]"),
            ("horizontal_flip", 1.0, "give a probability in [0, 1]"),
            ("vertical_flip", 1.0, "give a probability in [0, 1]"),
            ("noise", LARGEST, "give a standard deviation of 0 or more"),
        ):
            strength = getattr(self, key)
            require_number(strength, key=key, low=0, remedy=remedy)
            require(strength <= most, key=key, value=strength, remedy=remedy)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the changed batch, of the same shape. If every strength is zero, it is the very same tensor."""
        if self.rotation or self.scaling or self.translation:
            images = self._warp(images)
        if self.horizontal_flip:
            images = _flip(images, side=3, probability=self.horizontal_flip)
        if self.vertical_flip:
            images = _flip(images, side=2, probability=self.vertical_flip)
        if self.noise:
            images = images + self.noise * torch.randn_like(images)
        return images

    def _warp(self, images: Tensor) -> Tensor:
        draws = 2 * torch.rand(4, len(images), device=images.device) - 1
        return warp(
            images,
            angle=draws[0] * self.rotation * (pi / 180),
            scale=1 + draws[1] * self.scaling,
            shift=(draws[2:] * self.translation).T,
        )


def warp(images: Tensor, *, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Turn, enlarge and then move each image of a float batch (batch, channels, height, width) about its centre.

    angle (batch,) is in radians, counter-clockwise as seen. scale (batch,) above 1 enlarges. shift (batch, 2) is to the
    right and down, in fractions of the width and of the height. Interpolates bilinearly and repeats the border.
    """
    height, width = images.shape[2:]
    theta = _sampling_matrix(angle=angle, scale=scale, shift=shift, aspect=width / height)
    grid = functional.affine_grid(theta.to(images.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _sampling_matrix(*, angle: Tensor, scale: Tensor, shift: Tensor, aspect: float) -> Tensor:
    """Return the maps (batch, 2, 3) from output points to input points, the inverse of the change.

    affine_grid measures both sides from -1 to 1, whatever their length in pixels. So the off-diagonal terms need the
    aspect (width by height), or turning a wide image would shear it, and a shift is twice the fraction.
    """
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    linear = torch.stack((cosine, -sine / aspect, sine * aspect, cosine), dim=1).view(-1, 2, 2)
    offset = linear @ (-2 * shift).unsqueeze(2)
    return torch.cat((linear, offset), dim=2)


def _flip(images: Tensor, *, side: int, probability: float) -> Tensor:
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
    return torch.where(chosen, images.flip(side), images)
