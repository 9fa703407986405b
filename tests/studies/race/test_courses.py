"""The problems of the race: their best points in closed form, their noise, and what a search may be told."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from studies.config.parameter import Value
from studies.errors import BadInput
from studies.race import Ackley, Branin, Conditional, Hartmann
from studies.race.course import space_of
from studies.race.functions import Function

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
    course = function()
    space = space_of(course.search_space)
    points = np.random.default_rng(1).random((3000, len(space)))
    values = [course.truth(space.from_unit(u.tolist())) for u in points]
    assert min(values) >= function.best - 1e-9
    assert np.median(values) == pytest.approx(course.marks.median, rel=0.2)
    assert course.marks.near == pytest.approx(course.marks.unit / 100)


def test_each_optimizer_of_the_conditional_problem_has_its_ridge() -> None:
    """Twice the batch takes √2 of the learning rate, and Adam loses .1 at its best."""
    course = Conditional()
    sgd = {"optimizer": "sgd", "momentum": 0.9, "n_layers": 3, "width": 128}
    on_ridge = course.truth({**sgd, "batch_size": 256, "lr": 0.1})
    assert on_ridge == pytest.approx(0.02 * 4)
    assert course.truth({**sgd, "batch_size": 256, "lr": 0.05}) > on_ridge
    adam = {"optimizer": "adam", "beta": 0.9, "batch_size": 64, "n_layers": 3, "width": 128, "lr": 1e-3}
    assert course.truth(adam) == pytest.approx(0.1)


def test_noise_is_in_units_of_the_median_regret_and_has_mean_zero() -> None:
    course = Branin(noise=0.1)
    random = np.random.default_rng(0)
    point = {"x1": math.pi, "x2": 2.275}
    seen = np.array([course.observe(point, replicate=0, random=random).values[0] for _ in range(2000)])
    assert seen.mean() == pytest.approx(course.truth(point), abs=0.01 * course.marks.unit)
    assert seen.std() == pytest.approx(0.1 * course.marks.unit, rel=0.1)
    assert course.marks == Branin().marks


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
def test_a_noise_that_is_none_is_refused(noise: float) -> None:
    with pytest.raises(BadInput, match=r"problem.noise is .*: give a number of at least 0"):
        Branin(noise=noise)
