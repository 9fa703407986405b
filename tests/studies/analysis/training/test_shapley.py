"""Shapley effects against closed forms, and against brute force on a region that is no box."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from studies.analysis.axis import Array
from studies.analysis.training.shapley import shapley_effects


def grid(n: int, d: int) -> list[Array]:
    middle = (np.arange(n) + 0.5) / n
    return list(np.meshgrid(*[middle] * d, indexing="ij"))


def by_brute_force(points: Array, values: Array) -> Array:
    """The mean over all orders in which parameters are told of the variance that each then explains, point by point."""
    d = points.shape[1]
    effects = np.zeros(d)
    orders = list(permutations(range(d)))
    for order in orders:
        known = 0.0
        for k, i in enumerate(order):
            cells = np.unique(points[:, order[: k + 1]], axis=0, return_inverse=True)[1].ravel()
            means = np.bincount(cells, weights=values) / np.bincount(cells)
            explained = float(np.var(means[cells]))
            effects[i] += explained - known
            known = explained
    return effects / len(orders) / float(values.var())


def test_independent_parameters_share_their_interaction_equally() -> None:
    x, y, _ = grid(40, 3)
    values = (x - 0.5) + 2 * (y - 0.5) + 6 * (x - 0.5) * (y - 0.5)
    found = shapley_effects(values[None], np.ones((1, *values.shape)))[0]
    variances = np.array([1 / 12, 4 / 12, 36 / 144])
    expected = [variances[0] + variances[2] / 2, variances[1] + variances[2] / 2, 0.0]
    assert found == pytest.approx(np.array(expected) / variances.sum(), abs=2e-3)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.8])
def test_a_linear_function_of_two_dependent_normals_has_the_effects_of_owen_and_prieur(correlation: float) -> None:
    """Their theorem 2: half of each variance that the other explains changes hands."""
    b1, b2, s1, s2 = 1.0, 2.0, 1.5, 0.7
    x, y = (6 * (2 * part - 1) for part in grid(200, 2))
    weights = np.exp(-(x**2 - 2 * correlation * x * y + y**2) / (2 * (1 - correlation**2)))
    values = b1 * s1 * x + b2 * s2 * y
    found = shapley_effects(values[None], weights[None])[0]
    v1, v2, cross = b1**2 * s1**2, b2**2 * s2**2, b1 * b2 * correlation * s1 * s2
    variance = v1 + v2 + 2 * cross
    half = correlation**2 / 2
    expected = [v1 * (1 - half) + v2 * half + cross, v2 * (1 - half) + v1 * half + cross]
    assert found == pytest.approx(np.array(expected) / variance, abs=1e-3)


def test_effects_on_a_region_that_is_no_box_are_those_of_brute_force() -> None:
    x, y, z, w = grid(7, 4)
    inside = (x + y < 1.1) & ((z > 0.3) | (x > 0.5))
    values = np.sin(3 * x) + x * y + z**2 * (1 + y) + 0.2 * w
    found = shapley_effects(np.stack([values, values**2]), np.stack([inside, inside]).astype(float))
    points = np.column_stack([part[inside] for part in (x, y, z, w)])
    for k, own in enumerate((values, values**2)):
        assert found[k] == pytest.approx(by_brute_force(points, own[inside]), abs=1e-9)
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_a_parameter_that_only_follows_another_one_gets_half_of_its_share() -> None:
    x, y = grid(10, 2)
    found = shapley_effects(x[None], (x == y)[None].astype(float))[0]
    assert found == pytest.approx([0.5, 0.5])


def test_a_constant_function_has_no_effects() -> None:
    x, _ = grid(5, 2)
    assert np.isnan(shapley_effects(np.ones((1, *x.shape)), np.ones((1, *x.shape)))).all()


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e6])
def test_a_constant_makes_no_difference(shift: float) -> None:
    x, y, _ = grid(10, 3)
    values = (x + 2 * y) * 1e-2
    inside = (x + y < 1.1)[None].astype(float)
    expected = shapley_effects(values[None], inside)
    assert shapley_effects(values[None] + shift, inside) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(shapley_effects(np.full(inside.shape, 0.1) + shift, inside)).all()


def test_a_function_without_weights_has_no_effects() -> None:
    x, _ = grid(5, 2)
    assert np.isnan(shapley_effects(x[None], np.zeros((1, *x.shape)))).all()
