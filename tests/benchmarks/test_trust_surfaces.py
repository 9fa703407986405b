from __future__ import annotations

import itertools
from statistics import fmean

import numpy as np
import pytest
from known_functions import ishigami
from trust_surfaces import NAMES, RECORDED, SURFACES, problem_of, tensor_of, truths_of
from trust_training import Accuracy, progress
from trust_truth import UNEXPLAINED, Array, Columns, tensor, true_effects, true_indices, true_losses

from studies.config.parameter import Value
from studies.config.space import Point
from studies.sampler_benchmark.problem import space_of


def random_points(name: str, n: int) -> list[Point]:
    space = space_of(problem_of(name).search_space)
    return [space.from_unit(unit) for unit in np.random.default_rng(0).random((n, len(space))).tolist()]


def test_indices_are_those_of_a_closed_form() -> None:
    known = ishigami()
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x1", "x2", "x3")}

    def function(columns: Columns) -> np.ndarray:
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
        unit = np.stack([np.broadcast_to(column, shape).ravel() for column in columns.values()], axis=-1)
        return known.function(unit).reshape(shape)

    found = true_indices(tensor(space, function, resolution=2.0))
    assert found == pytest.approx({**known.indices, UNEXPLAINED: 0.0}, abs=1e-6)


def test_a_conditional_parameter_has_its_effect_where_it_is_active() -> None:
    space = {
        "choice": {"type": "categorical", "choices": ["one", "two", "without"]},
        "factor": {"type": "int", "low": 1, "high": 2},
        "share": {"type": "float", "low": 0.0, "high": 1.0, "when": {"choice": ["one", "two"]}},
    }

    def function(columns: Columns) -> np.ndarray:
        weight = np.select([columns["choice"] == "one", columns["choice"] == "two"], [1, 2], 0)
        return np.asarray(weight * columns["factor"] * columns["share"], dtype=float)

    # weight, factor and share are independent, so variances of their product are products of moments
    whole, inside = 23 / 48, 157 / 192
    assert true_indices(tensor(space, function)) == pytest.approx(
        {
            ("choice",): 3 / 8 / whole,
            ("factor",): 1 / 16 / whole,
            ("choice", "factor"): 1 / 24 / whole,
            ("share",): 27 / 64 / inside,
            ("choice", "share"): 3 / 64 / inside,
            ("factor", "share"): 3 / 64 / inside,
            UNEXPLAINED: 0.0,
        },
        abs=1e-9,
    )


def test_indices_of_the_recorded_table_are_those_of_a_loop_over_its_cells() -> None:
    problem = problem_of(RECORDED)
    levels: dict[str, list[Value]] = {
        parameter.name: [parameter.from_unit((k + 0.5) / parameter.n_values) for k in range(parameter.n_values)]
        for parameter in space_of(problem.search_space)
    }
    cells = {cell: problem.truth(dict(zip(levels, cell, strict=True))) for cell in itertools.product(*levels.values())}
    mean = fmean(cells.values())

    def effect(position: int, level: Value) -> float:
        return fmean(value for cell, value in cells.items() if cell[position] == level) - mean

    mains = [[effect(i, level) for level in own] for i, own in enumerate(levels.values())]
    variance = fmean((value - mean) ** 2 for value in cells.values())
    found = truths_of(RECORDED).indices
    for name, main in zip(levels, mains, strict=True):
        assert found[name,] == pytest.approx(fmean(value**2 for value in main) / variance, abs=1e-9)
    rates, sizes = levels["lr"], levels["batch_size"]
    pair = [
        fmean(value for cell, value in cells.items() if cell[:2] == (rate, size)) - mean - mains[0][i] - mains[1][j]
        for i, rate in enumerate(rates)
        for j, size in enumerate(sizes)
    ]
    assert found["lr", "batch_size"] == pytest.approx(fmean(value**2 for value in pair) / variance, abs=1e-9)


@pytest.mark.parametrize("name", SURFACES)
def test_half_as_many_nodes_give_the_same_indices(name: str) -> None:
    coarse = true_indices(tensor_of(problem_of(name), resolution=0.5))
    assert coarse == pytest.approx(truths_of(name).indices, abs=0.002)


@pytest.mark.parametrize("name", [name for name in SURFACES if name != "conditional"])
def test_an_index_is_the_correlation_of_points_that_share_the_parameter(name: str) -> None:
    problem, points = problem_of(name), random_points(name, 4000)
    values = [
        (problem.truth(point), problem.truth({**other, "lr": point["lr"]}))
        for point, other in itertools.pairwise(points)
    ]
    assert np.corrcoef(np.array(values).T)[0, 1] == pytest.approx(truths_of(name).indices["lr",], abs=0.06)


@pytest.mark.parametrize("name", NAMES)
def test_a_surface_has_effects_pairs_and_something_idle(name: str) -> None:
    indices = truths_of(name).indices
    assert sum(share > 0.01 for share in indices.values()) >= 6
    assert max(share for names, share in indices.items() if len(names) == 2) > 0.05
    assert min(share for names, share in indices.items() if len(names) == 1) < 0.01


@pytest.mark.parametrize("name", SURFACES)
def test_trainings_scatter_around_the_truth(name: str) -> None:
    problem, rng = problem_of(name), np.random.default_rng(1)
    points = random_points(name, 3000)
    curves = np.array([problem.observe(point, replicate=0, random=rng).values for point in points])
    truth = np.array([problem.truth(point) for point in points])
    errors = curves[:, -1] - truth
    assert abs(errors.mean()) < 3.5 * errors.std() / np.sqrt(len(errors))
    assert 0.04 < errors.var() / curves[:, -1].var() < 0.25
    assert curves.min() > 0
    assert not isinstance(problem, Accuracy) or curves.max() <= 1


@pytest.mark.parametrize("name", SURFACES)
def test_a_look_at_an_early_rung_misleads(name: str) -> None:
    problem, rng = problem_of(name), np.random.default_rng(1)
    curves = np.array([problem.observe(point, replicate=0, random=rng).values for point in random_points(name, 500)])
    agreement = [np.corrcoef(curves[:, rung], curves[:, -1])[0, 1] for rung in (0, 3, 6)]
    assert agreement == sorted(agreement)
    assert agreement[0] < 0.95


def test_a_training_ends_where_it_should() -> None:
    for speed in (-2.0, 0.0, 3.0):
        assert progress(speed)[-1] == pytest.approx(1.0)
        assert np.all(np.diff(progress(speed)) > 0)
    assert progress(-2.0)[3] < progress(0.0)[3] < progress(3.0)[3]


@pytest.mark.parametrize("name", NAMES)
def test_regrets_have_a_scale(name: str) -> None:
    marks = problem_of(name).marks
    assert marks.unit > 0
    assert 0 < marks.near < marks.unit


@pytest.mark.parametrize("maximize", [False, True])
def test_a_loss_is_the_best_value_with_one_parameter_in_the_middle_less_the_best_of_all(maximize: bool) -> None:
    levels = {"type": "int", "low": 0, "high": 4}
    sign = -1.0 if maximize else 1.0

    def valley(columns: Columns) -> Array:
        return np.asarray(sign * ((columns["a"] - 1) ** 2 + 3 * (columns["b"] - columns["a"]) ** 2 + columns["c"]))

    found = tensor(dict.fromkeys("abc", levels), valley)
    losses = true_losses(found, maximize=maximize)
    assert {names: loss.lost for names, loss in losses.items()} == {("a",): 1.0, ("b",): 1.0, ("c",): 2.0}
    assert losses["a",].share == pytest.approx(1 / np.ptp(found.values))


def test_a_conditional_parameter_is_lost_among_its_active_points() -> None:
    space = {
        "kind": {"type": "categorical", "choices": ["p", "q"]},
        "a": {"type": "int", "low": 0, "high": 2, "when": {"kind": ["p"]}},
    }
    found = tensor(space, lambda columns: np.where(columns["kind"] == "p", 10 + columns["a"], 0.0))
    assert true_losses(found, maximize=False)["a",].lost == 1.0
    assert true_losses(found, maximize=True)["kind",].lost == 11.0  # a is averaged over, and the upper of two is held


def test_effects_on_a_region_are_those_by_hand() -> None:
    """Three points: a is 0, 1 and 1, and b is 0, 0 and 1. Of the variance 2/9 of a, b alone tells 1/18."""
    bit = {"type": "int", "low": 0, "high": 1}
    found = tensor({"a": bit, "b": bit}, lambda columns: columns["a"] + 0.0 * columns["b"])
    inside = np.array([[True, False], [True, True]])
    assert true_effects(found, inside) == pytest.approx({("a",): 7 / 8, ("b",): 1 / 8})


def test_effects_without_a_region_are_mains_and_halves_of_pairs() -> None:
    unit = {"type": "float", "low": 0.0, "high": 1.0}
    found = tensor(dict.fromkeys("abc", unit), lambda own: own["a"] + own["a"] * own["b"] + 0 * own["c"])
    indices = found.indices()
    effects = true_effects(found, np.ones(found.values.shape, dtype=bool))
    half = indices["a", "b"] / 2
    assert effects["a",] == pytest.approx(indices["a",] + half)
    assert effects["b",] == pytest.approx(indices["b",] + half)
    assert effects["c",] == pytest.approx(0.0, abs=1e-12)


def test_the_chance_of_an_accuracy_is_the_share_of_draws_above_the_border() -> None:
    surface = SURFACES["cliff"]()
    assert isinstance(surface, Accuracy)
    random = np.random.default_rng(0)
    for final in (0.2, 0.6, 0.85):
        drawn = np.array([surface.noisy(final, {}, random) for _ in range(4000)])
        assert float(surface.chance(np.asarray(final), 0.5)) == pytest.approx((drawn >= 0.5).mean(), abs=0.025)


@pytest.mark.slow
def test_what_decides_is_known_where_there_are_two_groups() -> None:
    known = truths_of("cliff").training(0.4)
    assert known is not None
    assert sum(known.decides.values()) < 1
    assert max(known.decides, key=lambda names: known.decides[names]) == ("lr",)
    assert sum(known.effects.values()) == pytest.approx(1)
    recorded = truths_of(RECORDED).training(0.5)
    assert recorded is not None
    assert sum(recorded.effects.values()) == pytest.approx(1)
    assert truths_of("benign").training(0.5) is None
