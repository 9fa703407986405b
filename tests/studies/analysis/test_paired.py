"""Paired comparisons against scipy's tests and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from studies.analysis.estimate import Estimate
from studies.analysis.paired import Paired, at_level, holm, mean, needed, paired


def test_a_paired_comparison_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=9), rng.normal(0.3, size=9)
    found, truth = paired(list(a), list(b)), ttest_rel(a, b)
    interval = truth.confidence_interval(0.95)
    assert found.p == pytest.approx(truth.pvalue)
    assert (found.difference.lo, found.difference.hi) == pytest.approx((interval.low, interval.high))


def test_what_all_seeds_share_does_not_blur_a_comparison() -> None:
    seeds = np.random.default_rng(1).normal(0, 10, size=6)
    noise = np.random.default_rng(2).normal(0, 0.1, size=6)
    assert paired(list(seeds + 1 + noise), list(seeds)).p < 1e-4


def test_one_pair_tells_nothing_and_equal_values_are_equal() -> None:
    assert paired([1.0], [0.0]).p == 1.0
    assert paired([1.0, 2.0], [1.0, 2.0]).p == 1.0
    assert paired([1.0, 1.0], [1.0, 1.0]) == Paired(Estimate(0.0, n=2), 1.0)


def test_differences_that_are_all_the_same_have_the_spread_of_the_smallest_step() -> None:
    found = paired([1.0] * 8, [0.0] * 8)
    assert found.p == pytest.approx(2 * t.sf(8**0.5, 7))
    assert found.difference.half_width == pytest.approx(t.ppf(0.975, 7) / 8**0.5)
    assert paired([2.0, 3.0], [1.0, 2.0]).p == 0.5  # the sign test's, for two seeds
    far = paired([0.9, 0.8, 0.9, 0.8], [0.5, 0.4, 0.5, 0.4])
    assert far.difference.half_width == pytest.approx(t.ppf(0.975, 3) * 0.1 / 2)
    assert far.p == pytest.approx(0.125)  # the sign test's, for four seeds


def test_a_coarse_metric_supports_no_false_claim() -> None:
    """Differences of one step down with chance p, else 0: the true gain is -p steps, below 0 and below -p / 2."""
    rng = np.random.default_rng(0)
    for n, chance in ((4, 0.1), (6, 0.1), (10, 0.2)):
        for boundary in (0.0, -chance / 2):
            wrong = 0
            for _ in range(2000):
                found = paired(-(rng.random(n) < chance).astype(float), np.zeros(n)).difference
                wrong += found.lo is not None and found.lo >= boundary
            assert wrong / 2000 <= 0.025


@pytest.mark.parametrize("widened", [1.0, 1.5, 2.0])
def test_p_is_at_most_5_percent_exactly_where_the_widened_interval_excludes_0(widened: float) -> None:
    """-3, 1, -1, 3 have sd √(20/3), so half the interval is 3.18245 · √(5/3) times as much as it is widened."""
    noise, half = np.array([-3.0, 1.0, -1.0, 3.0]), widened * 3.18244631 * (5 / 3) ** 0.5
    within = paired(list(noise + half - 1e-4), [0.0] * 4, widened=widened)
    beyond = paired(list(noise + half + 1e-4), [0.0] * 4, widened=widened)
    assert within.difference.lo is not None
    assert beyond.difference.lo is not None
    assert within.difference.lo < 0 < beyond.difference.lo
    assert beyond.p < 0.05 < within.p
    assert (within.p, beyond.p) == pytest.approx((0.05, 0.05), abs=1e-4)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each for every seed"):
        paired([1.0, 2.0], [1.0])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_a_mean_of_one_value_has_no_interval() -> None:
    found = mean([0.5])
    assert (found.value, found.lo, found.half_width) == (0.5, None, None)
    assert mean([1.0, 3.0]).half_width == pytest.approx(12.706, abs=1e-3)
    assert mean([1.0, 3.0], level=0.5).half_width == pytest.approx(1.0)


@pytest.mark.parametrize("level", [0.95, 0.999])
def test_the_seeds_needed_are_the_fewest_whose_interval_leaves_out_the_boundary(level: float) -> None:
    def interval(n: int) -> Estimate:
        """That of `n` values of mean .5 and spread 1."""
        half = float(t.ppf((1 + level) / 2, n - 1)) / math.sqrt(n)
        return Estimate(0.5, 0.5 - half, 0.5 + half, n, level)

    n = needed(interval(5), boundary=0.2, power=0.5)
    assert n is not None
    assert (interval(n).lo or 0.0) >= 0.2 > (interval(n - 1).lo or 1.0)
    many = needed(interval(5), boundary=0.5 - 1e-12)
    assert many is not None
    assert many > 1e23


def test_the_seeds_needed_decide_with_the_power_that_is_told() -> None:
    """Normal values of mean .5 and spread 1: the interval of so many of them is above 0 in 80 % of the draws."""
    rng, half = np.random.default_rng(3), float(t.ppf(0.975, 9)) / math.sqrt(10)
    known = Estimate(0.5, 0.5 - half, 0.5 + half, 10)
    n = needed(known, boundary=0.0)
    assert n == 34
    shown = [mean(rng.normal(0.5, 1, n)).is_above(0.0) for _ in range(2000)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.03)
    assert (needed(known, boundary=0.0, power=0.5) or 0) < n < (needed(known, boundary=0.0, power=0.95) or 0)


def test_another_level_is_that_of_the_values_themselves() -> None:
    values = [1.0, 2.0, 4.0]
    assert at_level(mean(values), 0.8).ends == pytest.approx(mean(values, level=0.8).ends)
    assert at_level(mean([1.0]), 0.8) == mean([1.0], level=0.8)


def test_the_seeds_needed_follow_the_side_of_the_boundary() -> None:
    assert needed(Estimate(0.5, 0.4, 0.6, 10), boundary=0.0) == 11
    assert needed(Estimate(0.5, -0.5, 1.5, 10), boundary=0.5) is None
    lopsided = Estimate(0.5, -1.5, 1.0, 10)  # 2 below, 0.5 above
    assert needed(lopsided, boundary=0.0) == needed(Estimate(0.5, -1.5, 2.5, 10), boundary=0.0) != 11
    assert needed(lopsided, boundary=0.75) == needed(Estimate(0.5, 0.0, 1.0, 10), boundary=0.75) != 11
    assert needed(Estimate(0.5, n=1), boundary=0.0) is None
