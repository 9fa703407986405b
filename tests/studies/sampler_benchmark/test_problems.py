"""The problems of the sampler benchmark: their best points in closed form, their noise, and what is observed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from studies.config.parameter import Value
from studies.errors import BadInput
from studies.sampler_benchmark import Ackley, Branin, Conditional, Hartmann
from studies.sampler_benchmark.functions import Function
from studies.sampler_benchmark.problem import space_of

BEST: list[tuple[type[Function], Mapping[str, Value]]] = [
    (Branin, {"x1": -math.pi, "x2": 12.275}),
    (Branin, {"x1": math.pi, "x2": 2.275}),
    (Branin, {"x1": 3 * math.pi, "x2": 2.475}),
    (Hartmann, {f"x{i}": x for i, x in enumerate(Hartmann.where, start=1)}),
    (Ackley, {f"rate{i}": rate for i, rate in enumerate(Ackley.where, start=1)}),
    (
        Conditional,
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "batch_size": 64, "n_layers": 3, "width": 128},
    ),
]
FUNCTIONS = [Branin, Hartmann, Ackley, Conditional]


@pytest.mark.parametrize(("function", "point"), BEST)
def test_the_best_value_is_what_the_formula_gives_there(function: type[Function], point: Mapping[str, Value]) -> None:
    assert function().truth(dict(point)) == pytest.approx(function.best, abs=1e-9)
    space = space_of(function().search_space)
    assert all(space[name].contains(value) for name, value in point.items())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_point_is_better_than_the_best(function: type[Function]) -> None:
    problem = function()
    space = space_of(problem.search_space)
    points = np.random.default_rng(1).random((3000, len(space)))
    values = [problem.truth(space.from_unit(u.tolist())) for u in points]
    assert min(values) >= function.best - 1e-9
    assert np.median(values) == pytest.approx(problem.marks.median, rel=0.2)
    assert problem.marks.near == pytest.approx(problem.marks.unit / 100)


def test_each_optimizer_of_the_conditional_problem_has_its_ridge() -> None:
    """Twice the batch takes √2 of the learning rate, and Adam loses .1 at its best."""
    problem = Conditional()
    sgd = {"optimizer": "sgd", "momentum": 0.9, "n_layers": 3, "width": 128}
    on_ridge = problem.truth({**sgd, "batch_size": 256, "lr": 0.1})
    assert on_ridge == pytest.approx(0.02 * 4)
    assert problem.truth({**sgd, "batch_size": 256, "lr": 0.05}) > on_ridge
    adam = {"optimizer": "adam", "beta": 0.9, "batch_size": 64, "n_layers": 3, "width": 128, "lr": 1e-3}
    assert problem.truth(adam) == pytest.approx(0.1)


def test_noise_is_in_units_of_the_median_regret_and_has_mean_zero() -> None:
    problem = Branin(noise=0.1)
    random = np.random.default_rng(0)
    point = {"x1": math.pi, "x2": 2.275}
    seen = np.array([problem.observe(point, replicate=0, random=random).values[0] for _ in range(2000)])
    assert seen.mean() == pytest.approx(problem.truth(point), abs=0.01 * problem.marks.unit)
    assert seen.std() == pytest.approx(0.1 * problem.marks.unit, rel=0.1)
    assert problem.marks == Branin().marks


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
def test_a_noise_that_is_none_is_refused(noise: float) -> None:
    with pytest.raises(BadInput, match=r"problem.noise is .*: give a number of at least 0"):
        Branin(noise=noise)
