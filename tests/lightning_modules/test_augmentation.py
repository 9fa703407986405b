import math

import pytest
import torch
from torch import Tensor

from lightning_modules import Augmentation
from lightning_modules.augmentation import warp


def warped(
    images: Tensor, *, degrees: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> Tensor:
    n = len(images)
    angle = torch.full((n,), math.radians(degrees))
    return warp(images, angle=angle, scale=torch.full((n,), scale), shift=torch.tensor([shift]).expand(n, 2))


def centroid(image: Tensor) -> tuple[float, float]:
    """Column and row of the centre of mass, in pixels."""
    height, width = image.shape
    x = (image.sum(0) * torch.arange(width)).sum() / image.sum()
    y = (image.sum(1) * torch.arange(height)).sum() / image.sum()
    return x.item(), y.item()


def blob(*, height: int, width: int, row: int, column: int) -> Tensor:
    image = torch.zeros(1, 1, height, width)
    image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return image


def test_half_a_turn_reverses_both_sides() -> None:
    images = torch.rand(3, 2, 5, 7)
    torch.testing.assert_close(warped(images, degrees=180), images.flip(2, 3), atol=1e-5, rtol=0)


def test_a_quarter_turn_is_counter_clockwise() -> None:
    images = torch.rand(3, 1, 6, 6)
    torch.testing.assert_close(warped(images, degrees=90), torch.rot90(images, 1, (2, 3)), atol=1e-5, rtol=0)


def test_turning_a_wide_image_does_not_shear_it() -> None:
    image = blob(height=21, width=41, row=10, column=26)  # 6 pixels right of the centre (20, 10)
    x, y = centroid(warped(image, degrees=90)[0, 0])
    assert (x, y) == (pytest.approx(20, abs=0.01), pytest.approx(4, abs=0.01))


def test_translation_moves_the_centroid_by_a_fraction_of_each_side() -> None:
    image = blob(height=20, width=40, row=8, column=12)
    x, y = centroid(warped(image, shift=(0.25, 0.1))[0, 0])
    assert (x, y) == (pytest.approx(12 + 10, abs=1e-3), pytest.approx(8 + 2, abs=1e-3))


def test_scaling_enlarges_about_the_centre() -> None:
    image = blob(height=41, width=41, row=20, column=26)
    scaled = warped(image, scale=1.5)[0, 0]
    assert centroid(scaled) == (pytest.approx(20 + 1.5 * 6, abs=0.01), pytest.approx(20, abs=0.01))
    assert scaled.sum().item() == pytest.approx(1.5**2 * 9, rel=0.1)  # sampled at 2/3 pixels


def test_the_turn_comes_before_the_move() -> None:
    image = blob(height=21, width=21, row=10, column=15)
    x, y = centroid(warped(image, degrees=90, shift=(2 / 21, 0.0))[0, 0])
    assert (x, y) == (pytest.approx(12, abs=0.01), pytest.approx(5, abs=0.01))


def test_outside_the_image_its_border_is_repeated() -> None:
    images = torch.full((1, 1, 6, 6), -0.4242)
    torch.testing.assert_close(Augmentation(rotation=45, translation=0.5, scaling=0.5)(images), images)


def test_zero_strengths_return_the_very_same_tensor() -> None:
    images = torch.rand(3, 1, 4, 4)
    state = torch.get_rng_state()
    assert Augmentation()(images) is images
    assert torch.equal(torch.get_rng_state(), state)


def test_a_flip_with_probability_one_is_torchs_flip() -> None:
    images = torch.rand(5, 3, 4, 6)
    assert torch.equal(Augmentation(horizontal_flip=1.0)(images), images.flip(3))
    assert torch.equal(Augmentation(vertical_flip=1.0)(images), images.flip(2))


def test_each_image_is_flipped_or_not_on_its_own() -> None:
    images = torch.arange(2.0).expand(4000, 1, 1, 2)
    flipped = Augmentation(horizontal_flip=0.25)(images)[:, 0, 0, 0]
    assert flipped.mean().item() == pytest.approx(0.25, abs=0.03)  # four standard errors


def test_noise_has_the_standard_deviation_that_is_told() -> None:
    images = torch.full((10, 1, 50, 50), 3.0)
    noisy = Augmentation(noise=0.5)(images)
    assert noisy.std().item() == pytest.approx(0.5, rel=0.03)
    assert noisy.mean().item() == pytest.approx(3.0, abs=0.02)


@pytest.mark.parametrize("strength", [{"rotation": 90.0}, {"scaling": 0.5}, {"translation": 0.3}])
def test_each_image_gets_its_own_draw(strength: dict[str, float]) -> None:
    images = torch.rand(1, 1, 9, 9).expand(6, 1, 9, 9)
    changed = Augmentation(**strength)(images)
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 6
    assert changed.shape == images.shape


def test_translation_stays_within_its_bound_and_reaches_it() -> None:
    images = blob(height=41, width=41, row=20, column=20).expand(400, 1, 41, 41)
    moved = Augmentation(translation=0.2)(images)
    shifts = torch.tensor([centroid(image[0]) for image in moved]) - 20
    assert 0.9 * 0.2 * 41 < shifts.abs().max() <= 0.2 * 41 + 0.01
    assert shifts.mean(0).abs().max() < 1.2  # uniform on ±8.2: a standard error of 0.24


def test_the_global_seed_decides_the_draws() -> None:
    images, augmentation = torch.rand(3, 1, 8, 8), Augmentation(rotation=30, noise=0.1, vertical_flip=0.5)
    torch.manual_seed(3)
    first = augmentation(images)
    torch.manual_seed(3)
    assert torch.equal(augmentation(images), first)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rotation", 181.0),
        ("scaling", 1.0),
        ("translation", -0.1),
        ("horizontal_flip", 1.5),
        ("vertical_flip", -1.0),
        ("noise", float("inf")),
    ],
)
def test_strengths_outside_their_range_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}: give"):
        Augmentation(**{key: value})
