"""The planned power of a grid, against trials simulated with an interaction of known share."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ncf, norm

from studies.analysis.designed.factorial import anova
from studies.analysis.designed.power import MOST_REPLICATES, more_replicates, power, replicates_for
from studies.analysis.levels import ASKED_SHARE, POWER, SIGNIFICANCE

N_SIMULATIONS = 400


def cells_of(n_levels: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """A function on a grid of two factors, of variance 1, with this share in the interaction."""
    rows, columns = (rng.standard_normal(n) for n in n_levels)
    mains = np.add.outer(rows - rows.mean(), columns - columns.mean())
    pair = rng.standard_normal(n_levels)
    pair = pair - pair.mean(0) - pair.mean(1)[:, None] + pair.mean()
    return np.asarray(mains / mains.std() * math.sqrt(1 - share) + pair / pair.std() * math.sqrt(share))


@pytest.mark.parametrize(
    ("n_levels", "replicates", "noise", "share"),
    [
        ((3, 4), 2, 0.15, ASKED_SHARE),
        ((5, 5), 3, 0.3, ASKED_SHARE),
        ((2, 2), 6, 0.1, ASKED_SHARE),
        ((3, 4), 2, 0.15, 0),
    ],
)
def test_the_power_is_that_of_the_analysis_of_simulated_trials(
    n_levels: tuple[int, int], replicates: int, noise: float, share: float
) -> None:
    """Seeds have a common effect, which the analysis takes out. Without an interaction the test keeps its size."""
    rng = np.random.default_rng(0)
    points = list(itertools.product(*map(range, n_levels)))
    levels = {"a": [a for a, _ in points] * replicates, "b": [b for _, b in points] * replicates}
    block = [r for r in range(replicates) for _ in points]
    n_shown = 0
    for _ in range(N_SIMULATIONS):
        function = cells_of(n_levels, share, rng)
        y = np.tile([function[point] for point in points], replicates)
        y = y + rng.standard_normal(replicates)[block] + math.sqrt(noise) * rng.standard_normal(len(y))
        p = next(row.p for row in anova(levels, y, block=block).rows if len(row.term) == 2)
        n_shown += p is not None and p < SIGNIFICANCE
    expected = power(n_levels, replicates=replicates, noise=noise, share=share)
    assert n_shown / N_SIMULATIONS == pytest.approx(expected, abs=3 * math.sqrt(0.25 / N_SIMULATIONS))
    assert share or expected == pytest.approx(SIGNIFICANCE)


def test_the_power_is_that_of_the_noncentral_f() -> None:
    """Two levels and many trials: the test is one of a normal mean, whose power has a closed form."""
    n, noise = 500, 40.0
    mean = math.sqrt(4 * n * ASKED_SHARE / noise)
    closed = norm.sf(1.96 - mean) + norm.cdf(-1.96 - mean)
    assert power((2, 2), replicates=n, noise=noise) == pytest.approx(closed, abs=0.002)
    exact = ncf.sf(ncf.ppf(0.95, 12, 38, 0), 12, 38, 20 * 3 * ASKED_SHARE / 0.2)
    assert power((4, 5), replicates=3, noise=0.2) == pytest.approx(exact)


def test_of_three_parameters_the_pair_with_the_least_power_counts_at_a_third_of_the_level() -> None:
    n_cells, replicates, noise = 24, 2, 0.3
    df, df_error = 6, (n_cells - 1) * (replicates - 1)
    critical = ncf.ppf(1 - SIGNIFICANCE / 3, df, df_error, 0)
    expected = ncf.sf(critical, df, df_error, n_cells * replicates * ASKED_SHARE / noise)
    assert power((2, 3, 4), replicates=replicates, noise=noise) == pytest.approx(expected)


def test_replicates_are_the_fewest_with_the_wanted_power() -> None:
    found = replicates_for((5, 5), noise=0.3)
    assert found.are_enough
    assert found.power == power((5, 5), replicates=found.n, noise=0.3)
    assert power((5, 5), replicates=found.n - 1, noise=0.3) < POWER


def test_of_one_parameter_its_main_effect_is_planned_for() -> None:
    exact = ncf.sf(ncf.ppf(0.95, 6, 18, 0), 6, 18, 28 * ASKED_SHARE / 0.05)
    assert power((7,), replicates=4, noise=0.05) == pytest.approx(exact)


def test_replicates_are_at_least_two_and_bounded() -> None:
    assert replicates_for((5, 5), noise=0.0).n == 2
    most = replicates_for((2, 2), noise=math.inf)
    assert (most.n, most.are_enough) == (MOST_REPLICATES, False)
    assert most.power == pytest.approx(SIGNIFICANCE)


def test_more_replicates_are_the_fewest_with_the_wanted_power_and_at_least_twice_as_many() -> None:
    found = more_replicates([5, 3], noise=1.7, than=16)
    assert found is not None
    assert found.power >= POWER > power([5, 3], replicates=found.n - 1, noise=1.7)
    few = more_replicates([5, 3], noise=0.1, than=16)
    assert few is not None
    assert few.n == 32
    assert more_replicates([5, 3], noise=1e4, than=16) is None
