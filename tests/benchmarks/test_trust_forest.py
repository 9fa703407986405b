from __future__ import annotations

import itertools

import numpy as np
import pytest
from known_functions import additive, categorical, known, powers_axis, product_of_two, uniform
from sklearn.tree import DecisionTreeRegressor
from trust_forest import forest_indices, tree_variances


def test_a_tree_of_a_step_function_has_its_indices() -> None:
    axes = (*uniform(1), powers_axis("batch_size", 16, 64))
    unit = np.array(list(itertools.product((0.0, 0.499, 0.501, 1.0), (0.0, 0.5, 1.0))))
    y = np.where(unit[:, 0] > 0.5, 2 * unit[:, 1], 0.0)
    mains, pairs, variance = tree_variances(DecisionTreeRegressor(random_state=0).fit(unit, y).tree_, axes)
    # the means are 0 and (0, 1, 2) at the two halves: of x1 ½², of the batch size 1/6, of the pair the same
    assert mains == pytest.approx([1 / 4, 1 / 6], abs=1e-3)
    assert pairs[0, 1] == pytest.approx(1 / 6, abs=1e-3)
    assert variance == pytest.approx(1 / 4 + 1 / 6 + 1 / 6, abs=1e-3)


def test_a_tree_is_taken_apart_as_a_grid_of_its_predictions_is() -> None:
    function = categorical()
    rng = np.random.default_rng(0)
    table = function.table(80, noise=0.3, seed=1)
    tree = DecisionTreeRegressor(random_state=0).fit(table.unit, table.y)
    mains, pairs, variance = tree_variances(tree.tree_, function.axes)
    places = (np.array([0.0, 0.5, 1.0]), (np.arange(4000) + rng.random(4000)) / 4000)
    grid = tree.predict(np.array(list(itertools.product(*places)))).reshape(3, 4000)
    by_level, by_place = grid.mean(axis=1) - grid.mean(), grid.mean(axis=0) - grid.mean()
    assert mains == pytest.approx([by_level.var(), by_place.var()], rel=5e-3)
    rest = grid - grid.mean() - by_level[:, None] - by_place[None, :]
    assert pairs[0, 1] == pytest.approx(rest.var(), rel=5e-3)
    assert variance == pytest.approx(grid.var(), rel=5e-3)


def test_a_forest_of_many_trials_comes_near_the_truth() -> None:
    for function in (product_of_two(), known(uniform(2), lambda u: u[:, 0] + 0.5 * u[:, 1])):
        table = function.table(400, noise=0.0, seed=0)
        mains, pairs = forest_indices(table.axes, table.unit, table.y, seed=0)
        assert mains == pytest.approx([function.indices["x1",], function.indices["x2",]], abs=0.04)
        assert pairs[0, 1] == pytest.approx(function.indices["x1", "x2"], abs=0.04)


def test_a_constant_has_no_shares() -> None:
    table = additive().table(30, noise=0.0, seed=0)
    mains, pairs = forest_indices(table.axes, table.unit, np.ones(30), seed=0)
    assert not mains.any()
    assert not pairs.any()
