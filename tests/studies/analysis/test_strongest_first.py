from __future__ import annotations

import math

import pytest

from studies.analysis.effects import Effect, strongest_first
from studies.analysis.estimate import Estimate


def names(*shares: float) -> list[str]:
    effects = [
        Effect((f"p{i}", "x"), "interaction", 2, Estimate(share), "ok", (), 1, 0, 0, None, 1.0, 0)
        for i, share in enumerate(shares)
    ]
    return [effect.params[0] for effect in strongest_first(effects)]


@pytest.mark.parametrize("tiny", [(2e-5, 3e-5), (3e-5, 2e-5)])
def test_shares_that_read_alike_keep_their_order_whatever_their_other_digits(tiny: tuple[float, float]) -> None:
    assert names(*tiny) == ["p0", "p1"]


def test_larger_shares_come_first_and_unknown_ones_last() -> None:
    assert names(math.nan, 0.1, 0.3, 0.0) == ["p2", "p1", "p3", "p0"]
