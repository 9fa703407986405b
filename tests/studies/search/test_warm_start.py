"""What a search saves by another task's settings, where it is known beforehand."""

from __future__ import annotations

from functools import cache

import pytest

from studies.analysis.values.cross_fitted import Cell
from studies.config.parameter import Parameter
from studies.config.space import SearchSpace
from studies.search.warm_start import N_BEST, N_REPLAYS, WarmStart, warm_start

N_CELLS = 30
LEVELS = tuple(range(N_CELLS))
SPACE = SearchSpace((Parameter("n", ("n",), "int", 0, N_CELLS - 1, levels=LEVELS),))


def cells(best: int, *, sign: float = 1.0) -> dict[Cell, dict[int, float]]:
    """The further from `best`, the less; both seeds agree."""
    return {(("n", n),): dict.fromkeys((0, 1), -sign * abs(n - best)) for n in LEVELS}


@cache
def replayed(best_of_source: int, *, near: float = 0.0, maximize: bool = True) -> WarmStart:
    """On a task whose best is 27."""
    sign = 1.0 if maximize else -1.0
    values = {"source": cells(best_of_source, sign=sign), "target": cells(27, sign=sign)}
    return warm_start(values, SPACE, source="source", target="target", near=near, maximize=maximize, seed=0)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_best_of_a_task_like_this_one_is_tried_first_and_saves_all_other_trials(maximize: bool) -> None:
    found = replayed(27, maximize=maximize)
    assert (found.source, found.target, found.warm) == ("source", "target", 1.0)
    assert found.scratch > 5
    assert found.saved.value == pytest.approx(found.scratch - 1.0)
    assert found.saved.n == N_REPLAYS


def test_the_best_setting_of_the_source_comes_first_and_the_others_in_their_order() -> None:
    """One below the target's best it is the second or the third, for its neighbours are equally good."""
    found = replayed(26)
    assert 2 <= found.warm <= 3


@pytest.mark.parametrize("maximize", [True, False])
def test_what_misleads_costs_the_trials_that_it_takes(maximize: bool) -> None:
    """None of the source's best lies near the target's, so they are tried in vain."""
    assert replayed(2, maximize=maximize).warm > N_BEST


def test_whatever_is_near_enough_to_the_best_ends_a_search() -> None:
    every = replayed(2, near=27.0)
    assert (every.scratch, every.warm, every.saved.value) == (1.0, 1.0, 0.0)
    half, one = replayed(2, near=14.0), replayed(2, near=0.0)  # 17 of the 30 cells, or one
    assert half.scratch == pytest.approx(30 / 17, abs=0.6)
    assert one.scratch > 3 * half.scratch


@pytest.mark.parametrize("maximize", [True, False])
def test_a_search_from_scratch_learns_where_the_values_get_better(maximize: bool) -> None:
    """Drawing one of 30 cells at random takes 30 trials on average, and 26 where a replay ends after 60."""
    assert replayed(2, maximize=maximize).scratch < 20


def test_a_sign_changes_nothing_but_the_direction() -> None:
    assert replayed(2, maximize=True) == replayed(2, maximize=False)


def test_a_combination_without_a_value_is_passed_over_and_a_parameter_that_is_not_active_has_none() -> None:
    pair = SearchSpace(
        (
            Parameter("kind", ("kind",), "categorical", choices={"a": "a", "b": "b"}, levels=("a", "b")),
            Parameter("n", ("n",), "int", 0, 3, levels=(0, 1, 2, 3), when={"kind": ("b",)}),
        )
    )
    values: dict[Cell, dict[int, float]] = {(("kind", "a"),): {0: 0.1, 1: 0.1}}
    values |= {(("kind", "b"), ("n", n)): {0: n / 3, 1: n / 3} for n in (1, 2, 3)}
    values |= {(("n", 0), ("kind", "a")): {0: -9.0, 1: -9.0}}  # makes 0 a level, which `b` lacks
    task = {"source": values, "target": values}
    found = warm_start(task, pair, source="source", target="target", near=0.0, maximize=True, seed=0)
    assert found.warm == 1.0
    assert 1.0 < found.scratch <= 2 * len(values)
