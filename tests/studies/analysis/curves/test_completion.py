"""Curves whose course is known: z goes to a·z + b + noise from rung to rung, and a pruner stops the worse half."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from known_functions import uniform

from studies.analysis.axis import Array
from studies.analysis.curves import completion
from studies.analysis.curves.completion import completed

N_RUNGS = 6
STEPS = np.arange(1.0, N_RUNGS + 1)


def curves(n: int, *, seed: int, noise: float = 0.1) -> tuple[Array, Array, Array]:
    """Return whole curves, the same without what was pruned, and positions."""
    rng = np.random.default_rng(seed)
    unit = rng.random((n, 2))
    whole = np.empty((n, N_RUNGS))
    whole[:, 0] = 4 * unit[:, 0] + rng.standard_normal(n)
    for r in range(1, N_RUNGS):
        whole[:, r] = 0.7 * whole[:, r - 1] - 1 + unit[:, 1] + noise * rng.standard_normal(n)
    seen = whole.copy()
    going = np.arange(n)
    for r in range(1, N_RUNGS - 1):
        worse = going[whole[going, r] > np.quantile(whole[going, r], 0.75)]
        seen[worse, r + 1 :] = np.nan
        going = np.setdiff1d(going, worse)
    return whole, seen, unit


def test_known_ends_are_kept_and_predicted_ones_hold_the_truth() -> None:
    inside, errors, n_pruned = [], [], 0
    for seed in range(20):
        whole, seen, unit = curves(60, seed=seed)
        found = completed(seen, STEPS, uniform(2), unit, seed=0).draws
        pruned = np.isnan(seen[:, -1])
        n_pruned += int(pruned.sum())
        assert np.ptp(found[:, ~pruned], axis=0).max() == 0
        assert found[0, ~pruned] == pytest.approx(whole[~pruned, -1])
        lo, hi = np.percentile(found[:, pruned], [2.5, 97.5], axis=0)
        inside.extend((lo <= whole[pruned, -1]) & (whole[pruned, -1] <= hi))
        errors.extend(found[:, pruned].mean(axis=0) - whole[pruned, -1])
    assert n_pruned > 500
    assert np.mean(inside) > 0.8  # the errors of one study are not independent: all its curves go on by one regression
    assert abs(np.mean(errors)) < 0.1  # of ends that spread by 1
    assert np.std(errors) < 0.3


def test_a_training_that_stays_at_chance_is_not_predicted_to_end_near_the_best() -> None:
    """Good curves rise after a low report, for it was noise. A curve that never rose does not."""
    rng = np.random.default_rng(0)
    unit = rng.random((60, 1))
    whole = 0.95 + 0.01 * rng.standard_normal((60, 8))
    whole[:12] = 0.12 + 0.01 * rng.standard_normal((12, 8)).cumsum(axis=1)
    seen = whole.copy()
    seen[2:12, 4:] = np.nan
    seen[40:, 4:] = np.nan
    found = completed(seen, np.arange(1.0, 9), uniform(1), unit, seed=0).draws
    assert found[:, 2:12].mean(axis=0) == pytest.approx(whole[2:12, -1], abs=0.1)
    assert found[:, 40:].mean(axis=0) == pytest.approx(0.95, abs=0.02)


def test_a_slow_learner_keeps_its_slope() -> None:
    rng = np.random.default_rng(0)
    slopes = rng.uniform(0.5, 3, 40)
    whole = slopes[:, None] * np.arange(1.0, 9) + 0.05 * rng.standard_normal((40, 8))
    seen = whole.copy()
    seen[::2, 4:] = np.nan
    found = completed(seen, np.arange(1.0, 9), uniform(1), rng.random((40, 1)), seed=0).draws
    assert np.abs(found.mean(axis=0) - whole[:, -1]).max() < 1  # of 24


def test_straight_curves_on_the_scale_of_the_metric_are_known_as_such() -> None:
    """By the logarithm of time and of the metric, the ends would be off by 1.5."""
    errors = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        slopes = rng.uniform(0.5, 3, 40)
        whole = 5 + slopes[:, None] * np.arange(1.0, 21) + 0.2 * rng.standard_normal((40, 20))
        seen = whole[:, [0, 1, 2, 3, 4, 9, 19]].copy()
        seen[::2, 5:] = np.nan
        found = completed(seen, np.array([1.0, 2, 3, 4, 5, 10, 20]), uniform(1), rng.random((40, 1)), seed=0)
        assert found.response.name == "raw"
        errors.extend(found.draws.mean(axis=0)[::2] - whole[::2, -1])
    assert np.sqrt(np.mean(np.square(errors))) < 1  # a line through five values with this noise errs by .95


def test_many_trials_are_predicted_in_groups_each_from_its_own() -> None:
    whole, seen, unit = curves(700, seed=4)
    found = completed(seen, STEPS, uniform(2), unit, seed=0).draws
    pruned = np.isnan(seen[:, -1])
    assert np.std(found[:, pruned].mean(axis=0) - whole[pruned, -1]) < 0.3
    assert found[0, ~pruned] == pytest.approx(whole[~pruned, -1])


def test_the_trials_that_teach_have_curves_of_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    _, seen, unit = curves(400, seed=4)
    learnt, taught = completion._learnt, []

    def spy(own: Array, *rest: Any) -> Any:
        taught.append((~np.isnan(own)).sum(axis=1))
        return learnt(own, *rest)

    monkeypatch.setattr(completion, "_learnt", spy)
    completed(seen, STEPS, uniform(2), unit, seed=0)
    (lengths,) = taught
    shares, of_all = (np.bincount(own) / len(own) for own in (lengths, (~np.isnan(seen)).sum(axis=1)))
    assert len(lengths) == completion.LEARNT_FROM
    assert shares == pytest.approx(of_all, abs=0.02)


def test_the_same_seed_gives_the_same_draws() -> None:
    _, seen, unit = curves(40, seed=1)
    first, second = (completed(seen, STEPS, uniform(2), unit, seed=3).draws for _ in range(2))
    assert np.array_equal(first, second)


def test_the_order_of_the_trials_makes_no_difference() -> None:
    _, seen, unit = curves(80, seed=1)
    order = np.random.default_rng(0).permutation(80)
    found, turned = (completed(seen[rows], STEPS, uniform(2), unit[rows], seed=0) for rows in (np.arange(80), order))
    assert np.array_equal(turned.draws, found.draws[:, order])
    assert np.array_equal(turned.told, found.told[order])
    assert np.array_equal(turned.errors, found.errors[np.ix_(order, order)])


def test_a_parameter_that_was_not_active_counts_as_its_middle() -> None:
    _, seen, unit = curves(40, seed=1)
    unit[::3, 1] = np.nan
    assert np.isfinite(completed(seen, STEPS, uniform(2), unit, seed=0).draws).all()


def test_shares_stay_shares() -> None:
    whole, seen, unit = curves(60, seed=2)
    shares = 1 / (1 + np.exp(whole))
    found = completed(np.where(np.isnan(seen), np.nan, shares), STEPS, uniform(2), unit, seed=0).draws
    assert (found > 0).all()
    assert (found < 1).all()
