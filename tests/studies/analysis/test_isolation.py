"""Isolation on constructed data: no optimism, the chance of a false difference, and what is never chosen."""

from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.paired import mean
from studies.analysis.values.isolation import isolate, rank

SEEDS = range(6)


def cells(values: np.ndarray) -> dict[int, dict[int, float]]:
    return {c: {s: float(v) for s, v in enumerate(row)} for c, row in enumerate(values)}


def test_the_best_of_equal_cells_is_worth_what_all_are() -> None:
    """The best of ten cells by their own means is optimistic by about 1.5 standard errors; cross-fitted it is not."""
    rng = np.random.default_rng(0)
    found, naive, covered = [], [], []
    for _ in range(400):
        noise = rng.normal(size=(10, 6))
        isolated = isolate(cells(noise), seeds=SEEDS, maximize=True)
        assert isolated is not None
        found.append(isolated.mean.value)
        covered.append(isolated.mean.lo <= 0 <= isolated.mean.hi)  # type: ignore[operator]
        naive.append(noise.mean(axis=1).max())
    assert abs(np.mean(found)) < 0.08
    assert np.mean(naive) > 0.5
    assert np.mean(covered) >= 0.92


@pytest.mark.parametrize("maximize", [True, False])
def test_a_clearly_better_cell_is_chosen_by_every_seed(maximize: bool) -> None:
    values = np.random.default_rng(1).normal(0, 0.1, size=(3, 6))
    values[1] += 5 if maximize else -5
    found = isolate(cells(values), seeds=SEEDS, maximize=maximize)
    assert found is not None
    assert found.cell == 1
    assert set(found.judged.values()) == {1}
    assert list(found.values.values()) == pytest.approx(list(values[1]))


def test_a_cell_that_lacks_a_seed_is_never_chosen() -> None:
    found = isolate({"a": {0: 9.0}, "b": {0: 1.0, 1: 2.0}}, seeds=[0, 1], maximize=True)
    assert found is not None
    assert found.cell == "b"
    assert isolate({"a": {0: 9.0}}, seeds=[0, 1], maximize=True) is None


def test_one_seed_chooses_for_itself_and_says_so() -> None:
    found = isolate({"a": {0: 1.0}, "b": {0: 2.0}}, seeds=[0], maximize=True)
    assert found is not None
    assert (found.cell, found.is_honest, found.mean) == ("b", False, mean([2.0]))


def test_equal_values_are_told_apart_no_more_often_than_allowed() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(300):
        seeds = rng.normal(size=6)  # what a seed does to all of them
        rows = [isolate({0: dict(enumerate(seeds + rng.normal(size=6)))}, seeds=SEEDS, maximize=True) for _ in range(7)]
        wrong += any(c.is_shown for c in rank(rows, maximize=True).comparisons)
    assert wrong / 300 < 0.08


def test_a_worse_value_is_told_and_a_tie_is_kept() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=8)
    shifts = [0.0, 0.01, -3.0]
    rows = [
        isolate({0: dict(enumerate(base + s + rng.normal(0, 0.1, 8)))}, seeds=range(8), maximize=True) for s in shifts
    ]
    ranking = rank([*rows, None], maximize=True)
    assert {ranking.standings[0].word, ranking.standings[1].word} == {"best", "tie"}
    assert ranking.standings[2].word == "worse"
    assert ranking.standings[2].difference is not None
    assert ranking.standings[2].difference.value == pytest.approx(-3.0, abs=0.2)
    assert ranking.standings[3].word == "none"
    assert (ranking.verdict(0, 2), ranking.verdict(2, 0), ranking.verdict(0, 1)) == (1, -1, 0)


def test_where_less_is_better_the_least_is_best() -> None:
    rows = [isolate({0: dict.fromkeys(range(3), v)}, seeds=range(3), maximize=False) for v in (2.0, 1.0)]
    assert rank(rows, maximize=False).best == 1
    assert rank([None], maximize=False).best is None
