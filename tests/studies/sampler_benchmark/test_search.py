"""One whole search as a procedure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from studies.config.settings import SamplerName
from studies.config.space import SearchSpace
from studies.errors import BadInput
from studies.sampler_benchmark import Branin, Conditional, Hartmann, RecordedTable, Search
from studies.sampler_benchmark.problem import BenchmarkProblem, space_of
from studies.sampler_benchmark.search_settings import coarsened


def run(
    problem: BenchmarkProblem, sampler: str, *, n_trials: int = 30, seed: int = 3, **options: Any
) -> dict[str, Any]:
    pruner = options.pop("pruner", "none")
    search = Search(problem=problem, sampler={"name": sampler, **options}, pruner={"name": pruner}, n_trials=n_trials)
    return search.run(seed=seed, n_rungs=5, report=lambda _rung, _value: False, interrupted=lambda: None)


SAMPLERS = [name for name in SamplerName.__args__ if name != "gp"]  # type: ignore[attr-defined]
UNTIMED = ("sampler_seconds",)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("problem", [Branin(), Conditional(), RecordedTable()], ids=["branin", "conditional", "table"])
def test_a_regret_is_never_below_zero_and_without_noise_it_never_grows(problem: BenchmarkProblem, sampler: str) -> None:
    result = run(problem, sampler)
    regret, tried = np.array(result["regret"]), np.array(result["best_tried"])
    assert len(regret) == 30
    assert (regret >= 0).all()
    assert (tried >= 0).all()
    assert (np.diff(tried) <= 0).all()
    assert (regret >= tried).all()
    if not isinstance(problem, RecordedTable):
        assert (regret == tried).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_seed_runs_the_same_search_again_and_another_one_does_not(sampler: str) -> None:
    first, again, other = (run(Hartmann(noise=0.1), sampler, seed=seed) for seed in (3, 3, 4))
    timeless = [{key: value for key, value in result.items() if key not in UNTIMED} for result in (first, again, other)]
    assert timeless[0] == timeless[1]
    assert timeless[0] != timeless[2]


def test_under_noise_a_lucky_value_can_take_the_lead() -> None:
    regret = np.array(run(Branin(noise=2.0), "random", n_trials=60)["regret"])
    assert (np.diff(regret) > 0).any()


def test_the_gaussian_process_runs_too() -> None:
    result = run(Branin(), "gp", n_trials=14)
    assert result["sampler_seconds"][-1] > 0
    assert result["regret"][-1] < 1


def test_it_reports_the_regret_at_equal_fractions_and_stops_where_it_is_told() -> None:
    told: list[tuple[int, float]] = []

    def report(rung: int, value: float) -> bool:
        told.append((rung, value))
        return rung == 3

    search = Search(problem=Branin(), sampler={"name": "random"}, pruner={"name": "none"}, n_trials=20)
    result = search.run(seed=0, n_rungs=4, report=report, interrupted=lambda: None)
    assert [rung for rung, _ in told] == [1, 2, 3]
    assert len(result["regret"]) == 15
    assert [value for _, value in told] == pytest.approx([result["regret"][n - 1] for n in (5, 10, 15)], rel=1e-5)


def test_a_sampler_may_have_a_budget_of_its_own() -> None:
    search = Search(problem=Branin(), sampler={"name": "tpe", "n_trials": 7}, pruner={"name": "none"}, n_trials=20)
    result = search.run(seed=0, n_rungs=4, report=lambda _r, _v: False, interrupted=lambda: None)
    assert len(result["regret"]) == 7


def test_a_pruner_spends_fewer_epochs_and_hands_over_only_what_was_trained_to_the_end() -> None:
    whole, pruned = (run(RecordedTable(), "random", n_trials=60, pruner=pruner) for pruner in ("none", "median"))
    assert whole["epochs"][-1] == 60 * 8
    assert whole["n_pruned"] == 0
    assert pruned["n_pruned"] > 0
    assert 60 < pruned["epochs"][-1] < 60 * 8
    assert pruned["training_seconds"][-1] < whole["training_seconds"][-1]


@pytest.mark.parametrize(
    ("sampler", "pruner", "message"),
    [
        ({"name": "tpo"}, "none", r"sampler.name is 'tpo': did you mean tpe"),
        ({"name": "tpe", "n_start": 3}, "none", r"sampler.n_start is not an option of tpe"),
        ({"name": "tpe"}, "medium", r"pruner.name is 'medium': did you mean median"),
        ({}, "none", r"sampler.name is None"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(sampler: Mapping[str, Any], pruner: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Search(problem=Branin(), sampler=sampler, pruner={"name": pruner}, n_trials=10)


def cells(space: SearchSpace, n: int) -> int:
    levels = coarsened(space, n)
    return int(np.prod([len(levels[p.name]) for p in space]))


def test_a_grid_is_the_finest_full_factorial_that_the_budget_holds() -> None:
    branin, table = space_of(Branin().search_space), space_of(RecordedTable().search_space)
    assert {name: len(levels) for name, levels in coarsened(branin, 200).items()} == {"x1": 14, "x2": 14}
    assert coarsened(branin, 200)["x1"][0] == -5.0
    assert coarsened(branin, 200)["x1"][-1] == 10.0
    assert {name: len(levels) for name, levels in coarsened(table, 10_000).items()} == {
        "lr": 9,
        "batch_size": 5,
        "n_layers": 3,
        "width": 3,
        "activation": 2,
    }
    assert 100 < cells(table, 200) <= 200
    assert cells(branin, 1) == 1


def test_a_grid_that_is_tried_out_keeps_its_regret() -> None:
    result = run(Branin(), "grid", n_trials=14)  # 4 × 3 cells
    assert result["epochs"] == [*range(1, 13), 12, 12]
    assert len(set(result["regret"][11:])) == 1


def test_it_returns_once_it_is_interrupted() -> None:
    search = Search(problem=Branin(), sampler={"name": "random"}, pruner={"name": "none"}, n_trials=20)
    told: list[int] = []

    def report(rung: int, value: float) -> bool:
        told.append(rung)
        return False

    assert search.run(seed=0, n_rungs=4, report=report, interrupted=lambda: "test" if told else None) == {}
    assert told == [1]


class Rounded(Branin):
    """Its best value is a rounding error too high."""

    best = Branin.best + 1e-3

    @property
    def search_space(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "x1": {"type": "float", "low": 3.141, "high": 3.142},
            "x2": {"type": "float", "low": 2.274, "high": 2.276},
        }


def test_a_point_beyond_the_known_best_has_no_negative_regret() -> None:
    assert run(Rounded(), "random", n_trials=5)["regret"] == [0.0] * 5
