from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from known_functions import (
    Known,
    additive,
    categorical,
    centred_product,
    friedman,
    g_function,
    integer_grid,
    ishigami,
    known,
    log_parameter,
    lr_batch_ridge,
    product_of_two,
    three_way,
    uniform,
)

from studies.analysis.axis import levelled
from studies.analysis.sobol import Sobol, sobol
from studies.analysis.table import TrialsTable


def indices(table: TrialsTable, *, seed: int = 0) -> Sobol:
    return sobol(table.axes, table.unit, table.y, seed=seed)


def estimates(found: Sobol) -> dict[tuple[str, ...], float]:
    names = [axis.name for axis in found.axes]
    mains = {(name,): main.value for name, main in zip(names, found.mains, strict=True)}
    return mains | {(names[i], names[j]): pair.value for (i, j), pair in found.pairs.items()}


def test_the_known_indices_are_those_of_quadrature() -> None:
    for closed in (ishigami(), log_parameter()):
        numeric = known(closed.axes, closed.function)
        if closed.axes[0].name == "x1":
            assert numeric.indices == pytest.approx(dict(closed.indices), abs=1e-6)
            assert numeric.sd == pytest.approx(closed.sd)
    assert ishigami().indices["x1", "x3"] == pytest.approx(0.2437, abs=1e-4)
    assert log_parameter().indices["lr",] == pytest.approx(0.979, abs=5e-4)


@pytest.mark.parametrize(
    "make",
    [
        *(ishigami, product_of_two, log_parameter, categorical),
        *(pytest.param(f, marks=pytest.mark.slow) for f in (g_function, centred_product, lr_batch_ridge, integer_grid)),
    ],
)
def test_indices_of_known_functions_are_found(make: Callable[[], Known]) -> None:
    function = make()
    found = indices(function.table(200, noise=0.1, seed=3))
    for params, estimate in estimates(found).items():
        assert estimate == pytest.approx(function.indices[params], abs=0.03), params
    assert found.q2 > 0.95
    assert found.noise.value == pytest.approx(0.01 / 1.01, abs=0.005)


@pytest.mark.slow
def test_intervals_enclose_estimates_and_mostly_the_truth() -> None:
    hits = []
    for seed in range(6):
        function = ishigami()
        found = indices(function.table(100, noise=0.3, seed=seed))
        for index, true in zip(found.mains, [function.indices[axis.name,] for axis in function.axes], strict=True):
            assert index.lo <= index.value <= index.hi
            hits.append(true < 0.01 or index.lo <= true <= index.hi)
    assert np.mean(hits) > 0.8


@pytest.mark.slow
def test_an_additive_function_has_no_pairs() -> None:
    found = indices(additive().table(200, noise=0.3, seed=0))
    assert max(pair.value for pair in found.pairs.values()) < 0.02
    assert max(pair.lo for pair in found.pairs.values()) < 0.01


def test_what_is_not_predicted_may_be_what_four_parameters_do_together() -> None:
    unit = np.random.default_rng(0).random((60, 5))
    z = np.sqrt(12) * (unit - 0.5)  # of variance 1
    y = z.sum(axis=1) + np.sqrt(5 / 9) * z[:, :4].prod(axis=1)  # a tenth of the variance
    found = sobol(uniform(5), unit, y, seed=0)
    lo, hi = found.unexplained.ends
    assert lo <= 0.1 <= hi
    assert 0.1 < 1 - found.q2 <= hi


@pytest.mark.parametrize("waves", [6, 10])
def test_all_of_one_parameter_is_its_main_effect(waves: int) -> None:
    unit = np.random.default_rng(0).random((100, 1))
    found = sobol(uniform(1), unit, np.sin(waves * np.pi * unit[:, 0]), seed=0)
    assert found.mains[0].value > 0.99
    assert found.unexplained.ends == (0.0, 0.0)


def test_a_narrow_valley_of_two_parameters_is_their_pair() -> None:
    unit = np.random.default_rng(0).random((150, 2))
    found = sobol(uniform(2), unit, 1 - np.exp(-(((unit[:, 0] - unit[:, 1]) / 0.15) ** 2)), seed=0)
    lo, hi = found.pairs[0, 1].ends
    assert lo < 0.979 < hi  # by quadrature
    assert found.pairs[0, 1].value > 0.9


def test_an_effect_on_the_diagonal_of_a_grid_is_their_pair() -> None:
    axes = [levelled(name, "int", "linear", list(map(float, range(7))), list(range(7))) for name in "ab"]
    unit = np.array([(i / 6, j / 6) for i in range(7) for j in range(7)] * 2)
    y = (unit[:, 0] == unit[:, 1]) + 0.01 * np.random.default_rng(0).standard_normal(len(unit))
    found = sobol(axes, unit, y, seed=0)
    assert found.pairs[0, 1].value == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_what_three_parameters_do_together_is_unexplained_though_predicted() -> None:
    found = indices(three_way().table(200, noise=0.1, seed=0))
    assert found.unexplained.lo > 0.9
    assert found.q2 > 0.9


@pytest.mark.slow
def test_of_shuffled_values_nothing_is_learned() -> None:
    table = additive().table(200, noise=0.3, seed=0)
    found = indices(replace(table, y=np.random.default_rng(0).permutation(table.y)))
    assert found.q2 < 0.1
    assert {own.ends for own in (*found.mains, *found.pairs.values())} == {(0.0, 1.0)}
    assert found.noise.value > 0.8


@pytest.mark.slow
def test_order_of_trials_and_columns_unit_and_sign_of_the_target_make_no_difference() -> None:
    table = ishigami().table(80, noise=0.3, seed=0)
    reference = estimates(indices(table))
    rows, columns = np.random.default_rng(1).permutation(80), [2, 0, 1]
    permuted = replace(table, axes=tuple(table.axes[i] for i in columns), x=table.x[:, columns])
    for variant in (
        permuted,
        replace(table, x=table.x[rows], y=table.y[rows]),
        replace(table, y=1000 * table.y - 7),
        replace(table, y=-table.y),
    ):
        for params, estimate in estimates(indices(variant)).items():
            same = reference[params] if params in reference else reference[params[::-1]]
            assert estimate == pytest.approx(same, abs=0.001)


def test_the_same_seed_gives_the_same_numbers_and_another_other_draws() -> None:
    table = product_of_two().table(60, noise=0.3, seed=0)
    first, second, other = indices(table), indices(table), indices(table, seed=1)
    assert first.mains == second.mains
    assert first.pairs == second.pairs
    assert first.mains[0].value == pytest.approx(other.mains[0].value, abs=0.02)  # half of a posterior's deviation
    assert first.mains[0].lo != other.mains[0].lo


@pytest.mark.slow
def test_the_surface_is_the_function() -> None:
    function = friedman()
    found = indices(function.table(200, noise=0.1, seed=0))
    points = np.random.default_rng(9).random((50, 6))
    values = found.surface(points)
    assert np.corrcoef(values[0], function.function(points))[0, 1] > 0.99
    assert values.shape[0] > 200
    inside = (np.percentile(values[1:], 2.5, axis=0) <= function.function(points)) & (
        function.function(points) <= np.percentile(values[1:], 97.5, axis=0)
    )
    assert inside.mean() > 0.8


def test_mains_and_pairs_of_the_surface_are_means_over_the_other_parameters() -> None:
    found = indices(ishigami().table(40, noise=0.1, seed=0))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    nodes, weights = (nodes + 1) / 2, weights / 2
    at = np.array([0.2, 0.7])
    grid = np.array([[a, x, y] for a in at for x in nodes for y in nodes])
    averaged = np.einsum("faxy,x,y->fa", found.surface(grid).reshape(-1, 2, 24, 24), weights, weights)
    assert found.surface.main(0, at) == pytest.approx(averaged, abs=1e-6)
    pair = np.array([[a, x, b] for a in at for b in at for x in nodes])
    over = found.surface(pair).reshape(-1, 2, 2, 24) @ weights
    assert found.surface.pair(0, 2, at, at) == pytest.approx(over, abs=1e-6)
    assert found.surface.pair(2, 0, at, at) == pytest.approx(over.transpose(0, 2, 1), abs=1e-6)
    alone = found.surface.pair(0, 2, at, at, interaction_only=True)
    rest = found.surface.main(0, at)[:, :, None] + found.surface.main(2, at)[:, None, :]
    assert alone + rest - found.surface.effects.constants[:, None, None] == pytest.approx(over, abs=1e-6)


def test_levels_are_known_from_their_own_trials() -> None:
    function = categorical()
    table = function.table(60, noise=0.1, seed=0)
    alone = indices(table.over(np.ones(60, dtype=bool), ["optimizer"]))
    assert alone.mains[0].value == pytest.approx(1.0, abs=0.01)
    assert alone.pairs == {}
