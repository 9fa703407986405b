from __future__ import annotations

import numpy as np
import pytest
from known_functions import Known, additive, known, log_axis, product_of_two, uniform

from studies.analysis.sobol import sobol
from studies.analysis.tuning.one_at_a_time import TuningCost, tuning_cost


def cost(function: Known, *, n_trials: int = 40, maximize: bool = False, seed: int = 0) -> TuningCost:
    table = function.table(100, noise=0.02, seed=0)
    sign = -1 if maximize else 1
    surface = sobol(table.axes, table.unit, sign * table.y, seed=0).surface
    return tuning_cost(surface, n_trials=n_trials, maximize=maximize, seed=seed)


def narrow_diagonal_valley() -> Known:
    """(10 (x − y))² + (x + y − 1)²: along an axis its minimum is next to where it starts."""
    return known(uniform(2), lambda u: 25 * (u[:, 0] - u[:, 1]) ** 2 + (u[:, 0] + u[:, 1] - 1) ** 2)


def test_a_diagonal_valley_costs_what_one_sweep_leaves() -> None:
    found = cost(narrow_diagonal_valley())
    # From (x, y), setting x and then y to their best ends near y' ≈ y: (2y − 1)² is left, 1/3 on average.
    expected = 1 / 3 * (24 / 26) ** 2 * 25 / 26
    assert found.one_at_a_time.value == pytest.approx(expected, abs=0.1)  # two standard deviations over 32 starts
    assert found.one_at_a_time.lo < expected < found.one_at_a_time.hi
    assert found.together.value < found.one_at_a_time.value
    assert found.cost.lo > 0
    assert found.cost.lo < found.cost.value < found.cost.hi


def test_parameters_that_do_not_interact_may_be_tuned_one_at_a_time() -> None:
    found = cost(additive())
    assert found.one_at_a_time.value < 0.08
    assert found.cost.value < 0


def test_maximising_the_negative_costs_the_same() -> None:
    down, up = cost(product_of_two()), cost(product_of_two(), maximize=True)
    assert up.cost.value == pytest.approx(down.cost.value, abs=0.003)  # other draws


@pytest.mark.slow
def test_more_trials_leave_less() -> None:
    few, many = cost(narrow_diagonal_valley(), n_trials=9), cost(narrow_diagonal_valley(), n_trials=300)
    assert many.together.value < few.together.value
    assert 0 <= many.together.value < 0.01


def test_losses_are_never_negative_and_lie_in_their_intervals() -> None:
    found = cost(product_of_two())
    for interval in (found.one_at_a_time, found.together):
        assert 0 <= interval.lo <= interval.value <= interval.hi


@pytest.mark.slow
def test_the_same_seed_gives_the_same_cost() -> None:
    assert cost(product_of_two(), seed=3) == cost(product_of_two(), seed=3)
    assert cost(product_of_two(), seed=3) != cost(product_of_two(), seed=4)


def test_one_parameter_alone_costs_nothing_to_tune_alone() -> None:
    function = known((log_axis("lr", 1e-4, 1e-1),), lambda u: (u[:, 0] - 0.3) ** 2)
    assert cost(function).one_at_a_time.value == pytest.approx(0.0, abs=1e-3)
    assert np.isfinite(cost(function).cost.hi)
