"""A number with its uncertainty, and the one form in which it is written."""

from __future__ import annotations

import math

import pytest

from studies.analysis.estimate import Estimate
from studies.reporting.wording import estimate_text, interval_text

SURE = Estimate(0.95123, 0.94811, 0.95433, 6)
ALONE = Estimate(0.5, n=1)
UNBOUNDED = Estimate(0.5, -math.inf, math.inf)


def test_only_a_whole_interval_beyond_a_limit_is_above_or_below_it() -> None:
    assert SURE.is_above(0.948)
    assert not SURE.is_above(0.95)
    assert SURE.is_below(0.955)
    assert not SURE.is_below(0.95)
    assert not any(found.is_above(0.0) or found.is_below(1.0) for found in (ALONE, UNBOUNDED))


def test_the_half_width_is_that_of_the_farther_end() -> None:
    assert SURE.within(0.0, 0.952).half_width == pytest.approx(0.00312)
    assert SURE.within(0.0, 0.952).hi == 0.952
    assert ALONE.half_width is None
    assert ALONE.within(0.0, 1.0) == ALONE
    assert all(map(math.isnan, ALONE.ends))


def test_the_turned_estimate_has_its_ends_changed_over() -> None:
    assert SURE.turned == Estimate(-0.95123, -0.95433, -0.94811, 6)
    assert SURE.turned.turned == SURE
    assert ALONE.turned == Estimate(-0.5, n=1)


def test_an_estimate_is_written_in_one_form() -> None:
    assert estimate_text(SURE) == "0.9512 [0.9481, 0.9543]"
    assert estimate_text(Estimate(0.1234, 0.081, 0.169), ".0f", percent=True) == "12 % [8, 17]"
    assert estimate_text(Estimate(-0.00001, -0.1, 0.1), ".3f") == "0.000 [-0.100, 0.100]"
    assert estimate_text(SURE, ".3f", signed=True) == "+0.951 [0.948, 0.954]"
    assert estimate_text(ALONE) == "0.5000"
    assert estimate_text(Estimate(0.5, n=3)) == "0.5000 (all equal)"
    assert estimate_text(UNBOUNDED, ".2f") == "0.50 (unbounded)"
    assert estimate_text(None) == estimate_text(Estimate(math.nan)) == interval_text(ALONE) == "–"
