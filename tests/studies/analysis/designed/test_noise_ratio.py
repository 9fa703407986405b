"""The noise of a planned grid, from trials whose noise and whose function are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, create_trial
from scipy.stats import chi2

from studies import schema
from studies.analysis.designed.noise_ratio import ASSUMED, noise_ratio, pooled_variance
from studies.analysis.effects import Effect, effects_of, fits_of
from studies.analysis.estimate import Estimate
from studies.analysis.gaussian_process.response import Response, standardised
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.table import TrialsTable, table_of

A_SHARE, B_SHARE = 9 / 10, 1 / 10  # of y = 3a + b, uniform a and b: variances 9/12 and 1/12


def trial(a: float, b: float, y: float, **attributes: Any) -> FrozenTrial:
    uniform = FloatDistribution(0.0, 1.0)
    params, attributes = {"a": a, "b": b}, {schema.SOURCE: "random", **attributes}
    return create_trial(value=y, params=params, distributions=dict.fromkeys(params, uniform), user_attrs=attributes)


def table(n: int, *, noise: float, seeds: int = 1) -> TrialsTable:
    """Points of the square, each with several seeds, of which 3a + b is known."""
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(n, 2))
    trials = [
        trial(a, b, 3 * a + b + noise * float(rng.standard_normal()), replicate=r)
        for a, b in points
        for r in range(seeds)
    ]
    return table_of(trials, maximize=True)


def effect(params: Sequence[str], value: float, kind: Any = "main") -> Effect:
    estimate = Estimate(value, value, value)
    return Effect(tuple(params), kind, len(params), estimate, "ok", (), 1, 0, 0, None, 1.0, 0)


EFFECTS = (effect("a", A_SHARE), effect("b", B_SHARE), effect("ab", 0.0, "interaction"))


def test_trainings_of_equal_points_tell_the_noise_at_the_upper_end_of_its_interval() -> None:
    found = noise_ratio(("a", "b"), table(400, noise=0.2, seeds=3), EFFECTS)
    df = 800
    expected = 0.2**2 / (10 / 12) * df / chi2.ppf(0.025, df)
    assert found.value == pytest.approx(expected, rel=0.1)
    assert found.basis == "by 1200 trainings of 400 points with other seeds; against the effects of a, b"


def cells(replicates: Sequence[int | None], *, noise: float = 0.0) -> TrialsTable:
    """The nine points of a 3×3 space again and again, under these replicates."""
    rng = np.random.default_rng(0)
    points = [(a / 2, b / 2) for a in range(3) for b in range(3)]
    trials = []
    for i, replicate in enumerate(replicates):
        a, b = points[i % 9]
        own = {} if replicate is None else {schema.REPLICATE: replicate}
        trials.append(trial(a, b, 3 * a + b + noise * float(rng.standard_normal()), **own))
    return table_of(trials, maximize=True)


@pytest.mark.parametrize("replicates", [[None] * 45, [0] * 45, [i % 9 for i in range(45)]])
def test_a_point_that_is_repeated_without_another_seed_tells_no_noise(replicates: Sequence[int | None]) -> None:
    assert "other seeds" not in noise_ratio(("a", "b"), cells(replicates), EFFECTS).basis


def test_a_training_that_is_repeated_under_its_seed_counts_once() -> None:
    found = noise_ratio(("a", "b"), cells([i // 9 % 2 for i in range(45)], noise=0.2), EFFECTS)
    assert found.basis.startswith("by 18 trainings of 9 points with other seeds")


def test_a_predicted_value_is_no_training() -> None:
    """Of the second replicates all but three were pruned: three pairs are too few."""
    trials = cells([i // 9 for i in range(18)], noise=0.2)
    predicted = np.arange(18) >= 12
    raw = standardised(Response("raw"), trials.y)
    rough = RoughValues(trials.y[None], raw, raw.forward(trials.y), np.diag(0.1 * predicted))
    assert "by 18 trainings" in noise_ratio(("a", "b"), trials, EFFECTS).basis
    assert "other seeds" not in noise_ratio(("a", "b"), replace(trials, rough=rough), EFFECTS).basis


def test_a_grid_of_some_parameters_shows_their_effects_alone() -> None:
    trials = table(400, noise=0.2, seeds=3)
    three = (*EFFECTS, effect("c", 0.0))
    whole, weak = noise_ratio(("a", "b"), trials, three), noise_ratio(("b", "c"), trials, three)
    assert weak.value / whole.value == pytest.approx(1 / B_SHARE)
    alone = noise_ratio(("b",), trials, three)
    assert (alone.value, alone.basis.partition("; ")[2]) == (whole.value, "against the effects of all parameters")


def test_a_race_tells_the_noise_where_no_point_was_trained_twice() -> None:
    raced = np.random.default_rng(1).normal([[3.0], [5.0], [4.0]], 0.1, (3, 200))
    raced[0, 50:] = np.nan  # it has left the race
    found = noise_ratio(("a", "b"), table(400, noise=0.2), EFFECTS, list(raced))
    df = 49 + 199 + 199
    assert found.value == pytest.approx(0.1**2 / (10 / 12) * df / chi2.ppf(0.025, df), rel=0.15)
    assert "450 trainings of 3 raced points" in found.basis


def test_else_what_the_fit_leaves_over_tells_it() -> None:
    trials = table(60, noise=0.2)
    found = noise_ratio(("a", "b"), trials, effects_of(fits_of(trials, seed=0), seed=0))
    assert found.value == pytest.approx(0.2**2 / (10 / 12), rel=0.6)
    assert found.basis.startswith("by what the fit leaves over")


def test_effects_that_are_not_known_are_taken_as_equal() -> None:
    trials = table(400, noise=0.2, seeds=3)
    for unknown in ((), [replace(one, estimate=Estimate(math.nan)) for one in EFFECTS]):
        assert noise_ratio(("a", "b"), trials, unknown).basis.endswith(
            "against 2 of 2 parameters, as if each had the same effect"
        )
    doubted = [replace(one, verdict="unreliable") for one in EFFECTS]
    assert "as if each had the same effect" in noise_ratio(("a", "b"), trials, doubted).basis


def test_without_any_noise_known_a_tenth_is_assumed() -> None:
    found = noise_ratio(("a", "b"), table(5, noise=0.2), ())
    assert (found.value, found.basis) == (
        ASSUMED,
        "the trials do not tell the noise, so it is taken as 10 % of the variance over the grid",
    )


def test_an_effect_of_nothing_asks_for_the_most() -> None:
    none = (effect("a", 0.0), effect("b", 0.0), effect("ab", 0.0, "interaction"))
    assert noise_ratio(("a", "b"), table(100, noise=0.2, seeds=2), none).value == math.inf


def test_a_handful_of_repeated_trainings_tells_no_variance() -> None:
    assert pooled_variance([np.array([1.0, 2.0]), np.array([3.0, np.nan])]) is None
    pooled = pooled_variance([np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.0, 5.0, 5.0])])
    assert pooled is not None
    assert (pooled.value, pooled.df, pooled.n_groups) == (0.4, 5, 2)
    assert pooled.upper == pytest.approx(2 / chi2.ppf(0.025, 5))
