from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.intervals import UNCONFIRMED, intervals

DRAWS = np.linspace(0.3, 0.5, 1001)[:, None]  # mean .4, 95 % of them in [.305, .495]


def test_draws_that_left_out_trials_confirm_are_the_interval() -> None:
    (found,) = intervals(DRAWS, stretch=0.7, confirmed=1.0)
    assert (found.value, *found.ends) == pytest.approx((0.4, 0.305, 0.495))


def test_errors_of_left_out_trials_stretch_it() -> None:
    (found,) = intervals(DRAWS, stretch=2.0, confirmed=1.0)
    assert found.ends == pytest.approx((0.21, 0.59))


def test_what_is_not_confirmed_may_belong_anywhere() -> None:
    (half,) = intervals(DRAWS, stretch=1.0, confirmed=0.5)
    w = UNCONFIRMED / 2
    assert half.ends == pytest.approx((0.305 * (1 - w), 0.495 + 0.505 * w))
    (worse_than_the_mean,) = intervals(DRAWS, stretch=1.0, confirmed=-3.0)
    assert worse_than_the_mean.ends == pytest.approx((0.305 * (1 - UNCONFIRMED), 0.495 + 0.505 * UNCONFIRMED))


def test_a_share_stays_between_nothing_and_all() -> None:
    (found,) = intervals(DRAWS, stretch=50.0, confirmed=1.0)
    assert found.ends == (0.0, 1.0)


def test_rounding_errors_are_no_share() -> None:
    (found,) = intervals(np.full((10, 1), 1e-14), stretch=1.0, confirmed=1.0)
    assert (found.value, *found.ends) == (0.0, 0.0, 0.0)
