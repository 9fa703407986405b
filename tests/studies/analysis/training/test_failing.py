"""The rule of the worse group: whether it is so much worse that it does not train."""

from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.axis import Array
from studies.analysis.training.failing import fails

SHARES = [(0.95, 0.94, False), (0.99, 0.97, False), (0.8, 0.65, False), (0.9, 0.1, True), (0.99, 0.5, True)]
LOSSES = [(0.3, 2.3, True), (3.0, 7.0, True), (0.4, 0.69, False), (20.0, 35.0, False), (0.02, 0.05, False)]


def losses(better: float, worse: float, noise: float = 0.002) -> Array:
    """30 values around each of both."""
    spread = noise * np.linspace(-1, 1, 30)
    return np.concatenate([better + spread, worse + spread])


def fail(better: float, worse: float, *, noise: float = 0.002) -> bool:
    return fails(losses(better, worse, noise), (better + worse) / 2)


@pytest.mark.parametrize(("better", "worse", "expected"), [*SHARES, (0.15, 0.01, True)])
def test_a_share_fails_if_its_errors_double_or_its_value_halves_over_a_gap(
    better: float, worse: float, expected: bool
) -> None:
    assert fail(-better, -worse) == expected
    assert fail(1 - better, 1 - worse) == expected  # the error rate
    assert fail(-100 * better, -100 * worse, noise=0.2) == expected  # in percent


@pytest.mark.parametrize(("better", "worse", "expected"), LOSSES)
def test_a_loss_fails_if_it_doubles(better: float, worse: float, expected: bool) -> None:
    assert fail(better, worse) == expected


def test_an_r2_is_judged_by_its_distance_from_one() -> None:
    assert fail(-0.9, 0.01)
    assert not fail(-0.95, -0.94)
    with_outlier = np.append(losses(-0.95, -0.94), 7.0)
    assert not fails(with_outlier, -0.945)
    assert fails(np.append(losses(-0.9, 0.0), 7.0), -0.45)


def test_a_metric_without_bounds_needs_groups_far_apart() -> None:
    assert fail(-18.0, 21.0, noise=2.0)  # rewards
    assert not fail(-18.0, 21.0, noise=15.0)
    assert not fails(np.append(losses(-200.0, -199.0, noise=0.1), 5.0), -199.5)  # the outlier has the other sign


def test_groups_of_which_one_is_empty_do_not_differ() -> None:
    assert not fails(losses(0.3, 2.3), 5.0)
