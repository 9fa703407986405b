"""Cliffs that are there are found, and none in failures that have nothing to do with the point."""

from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.next_round.infeasible import infeasible
from studies.config.parameter import Parameter
from studies.config.space import Point, SearchSpace

SPACE = SearchSpace(
    (
        Parameter("lr", ("a",), "float", 1e-4, 1.0, log=True),
        Parameter("batch_size", ("b",), "power_of_two", 16, 256, log=True),
        Parameter("dropout", ("c",), "float", 0.0, 0.5),
        Parameter("optimizer", ("d",), "categorical", choices={"sgd": 1, "adam": 2}),
        Parameter("momentum", ("e",), "float", 0.0, 1.0, when={"optimizer": ("sgd",)}),
    )
)


def points(n: int, seed: int = 0) -> list[Point]:
    rng = np.random.default_rng(seed)
    return [SPACE.from_unit(rng.uniform(size=len(SPACE)).tolist()) for _ in range(n)]


def number(point: Point, name: str) -> float:
    value = point.get(name, -1.0)
    assert isinstance(value, int | float)
    return value


def test_a_cliff_of_one_parameter_is_found_with_its_rates() -> None:
    tried = points(50)
    (region,) = infeasible(SPACE, tried, ["diverged" if number(p, "lr") > 0.1 else None for p in tried])
    (side,) = region.sides
    assert (region.failure, side.name, side.relation) == ("diverged", "lr", "≥")
    assert isinstance(side.limit, float)
    assert 0.07 < side.limit < 0.14
    n = sum(number(p, "lr") > 0.1 for p in tried)
    assert (region.inside.failed, region.inside.share.n, region.outside.failed) == (n, n, 0)
    assert region.inside.share.lo == pytest.approx(0.025 ** (1 / n))  # Clopper and Pearson: all of n
    assert region.outside.share.hi == pytest.approx(1 - 0.025 ** (1 / (50 - n)))


def test_a_corner_of_two_parameters_is_told_as_such() -> None:
    tried = points(150)
    bad = [number(p, "lr") > 0.03 and number(p, "batch_size") <= 32 for p in tried]
    (region,) = infeasible(SPACE, tried, ["diverged" if b else None for b in bad])
    assert [(side.name, side.relation) for side in region.sides] == [("lr", "≥"), ("batch_size", "≤")]
    assert region.sides[1].limit == 32
    assert region.inside.failed == region.inside.share.n == sum(bad)


@pytest.mark.parametrize("edges", [{"lr": 0.0213}, {"lr": 0.0213, "dropout": 0.1407}])
def test_of_many_values_the_edge_parts_what_fails_from_what_succeeds(edges: dict[str, float]) -> None:
    """Of 600 values, thresholds are first tried at 40."""
    tried = points(600)
    bad = [all(number(p, name) > edge for name, edge in edges.items()) for p in tried]
    (region,) = infeasible(SPACE, tried, ["diverged" if b else None for b in bad])
    assert [side.name for side in region.sides] == list(edges)
    assert (region.inside.failed, region.inside.share.n, region.outside.failed) == (sum(bad), sum(bad), 0)


def test_each_kind_of_failure_has_its_own_region() -> None:
    tried = points(80)
    kinds = [
        "diverged" if number(p, "lr") > 0.2 else "out_of_memory" if number(p, "batch_size") >= 256 else None
        for p in tried
    ]
    first, second = infeasible(SPACE, tried, kinds)
    assert (first.failure, str(second.sides[0])) == ("diverged", "batch_size ≥ 256")


def test_what_failed_otherwise_is_neither_failure_nor_success() -> None:
    one = SearchSpace((Parameter("lr", ("a",), "float", 0.0, 1.0),))
    kinds = [None] * 20 + ["diverged"] * 12 + ["out_of_memory"] * 8
    tried: list[Point] = [{"lr": (i + 0.5) / 40} for i in range(40)]
    first, second = infeasible(one, tried, kinds)
    for region, n_failed in ((first, 12), (second, 8)):
        assert (region.inside.failed, region.inside.share.n) == (n_failed, n_failed)
        assert (region.outside.failed, region.outside.share.n) == (0, 20)


def test_a_region_is_where_trials_fail_and_not_where_they_succeed() -> None:
    tried = points(40)
    (region,) = infeasible(SPACE, tried, ["diverged" if number(p, "lr") < 1e-3 else None for p in tried])
    (side,) = region.sides
    assert (side.name, side.relation) == ("lr", "≤")
    assert region.inside.failed == region.inside.share.n


def test_a_threshold_lies_in_the_middle_on_the_search_scale() -> None:
    for log, limit in ((True, 1e-3), (False, (1e-4 + 1e-2) / 2)):
        one = SearchSpace((Parameter("lr", ("a",), "float", 1e-5, 1.0, log=log),))
        tried: list[Point] = [{"lr": lr} for lr in (1e-4, 1e-2) for _ in range(15)]
        (region,) = infeasible(one, tried, [None] * 15 + ["diverged"] * 15)
        assert region.sides[0].limit == pytest.approx(limit)


def test_choices_and_conditional_parameters_can_be_the_cause() -> None:
    tried = points(60)
    (region,) = infeasible(SPACE, tried, ["diverged" if p["optimizer"] == "sgd" else None for p in tried])
    assert str(region.sides[0]) == "optimizer is sgd"
    (region,) = infeasible(SPACE, tried, ["diverged" if number(p, "momentum") > 0.5 else None for p in tried])
    assert (region.sides[0].name, region.sides[0].relation) == ("momentum", "≥")


def test_failures_without_a_cause_hardly_ever_give_a_region() -> None:
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed + 1000)
        failures = ["diverged" if u < 0.2 else None for u in rng.uniform(size=50)]
        found += bool(infeasible(SPACE, points(50, seed), failures))
    assert found <= 3


def test_nothing_is_told_where_all_or_none_fail() -> None:
    tried = points(30)
    assert infeasible(SPACE, tried, [None] * 30) == ()
    assert infeasible(SPACE, tried, ["diverged"] * 30) == ()
