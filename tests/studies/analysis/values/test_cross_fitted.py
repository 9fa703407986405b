"""Isolation on constructed data: no optimism, the chance of a false difference, and what is never chosen."""

from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.paired import mean, paired
from studies.analysis.values.cross_fitted import CrossFitted, changes, compare, cross_fit
from studies.analysis.values.standing import rank

SEEDS = range(6)
T3 = 3.18245  # Student's t(.975; 3)


def one_five_three_seven(*, halves_agree: bool) -> CrossFitted:
    """Four seeds that give 1, 5, 3 and 7: mean 4, s² = 20/3. Either one cell has been best in both halves, or the seeds
    0 and 2 are judged in the one that 1 and 3 chose, and the other way round."""
    if halves_agree:
        best = {"a": {0: 1.0, 1: 5.0, 2: 3.0, 3: 7.0}, "b": dict.fromkeys(range(4), -9.0)}
    else:
        best = {"a": {0: 1.0, 1: 9.0, 2: 3.0, 3: 9.0}, "b": {0: 9.0, 1: 5.0, 2: 9.0, 3: 7.0}}
    found = cross_fit(best, seeds=range(4), maximize=True)
    assert found is not None
    assert list(found.values.values()) == [1.0, 5.0, 3.0, 7.0]
    return found


def cells(values: np.ndarray) -> dict[int, dict[int, float]]:
    return {c: {s: float(v) for s, v in enumerate(row)} for c, row in enumerate(values)}


def test_the_best_of_equal_cells_is_worth_what_all_are() -> None:
    """The best of ten cells by their own means is optimistic by about 1.5 standard errors; cross-fitted it is not."""
    rng = np.random.default_rng(0)
    found, naive, covered = [], [], []
    for _ in range(400):
        noise = rng.normal(size=(10, 6))
        fitted = cross_fit(cells(noise), seeds=SEEDS, maximize=True)
        assert fitted is not None
        found.append(fitted.mean.value)
        covered.append(fitted.mean.lo <= 0 <= fitted.mean.hi)  # type: ignore[operator]
        naive.append(noise.mean(axis=1).max())
    assert abs(np.mean(found)) < 0.08
    assert np.mean(naive) > 0.5
    assert np.mean(covered) >= 0.92


def test_an_interval_is_widened_where_the_halves_choose_different_cells_and_only_there() -> None:
    """The variance of the mean is s²·(1/4 + 1/3) = 35/9 where they differ, s²/4 = 5/3 where they agree."""
    apart, agreed = one_five_three_seven(halves_agree=False), one_five_three_seven(halves_agree=True)
    assert apart.mean.half_width == pytest.approx(T3 * (35 / 9) ** 0.5, rel=1e-5)
    assert agreed.mean.half_width == pytest.approx(T3 * (5 / 3) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_comparison_is_as_wide_as_the_wider_of_its_two_rows_asks(is_first: bool) -> None:
    """Against a single cell of zeros the differences are 1, 5, 3, 7. Independent, they have t = 4/√(5/3) = 3.098 and
    p = .0533; one row's halves differ, so t = 4/√(35/9) = 2.028 and p = .1356."""
    zeros = cross_fit({"only": dict.fromkeys(range(4), 0.0)}, seeds=range(4), maximize=True)
    rows = [one_five_three_seven(halves_agree=False), zeros]
    (found,) = compare(rows if is_first else rows[::-1])
    assert found.paired.difference.half_width == pytest.approx(T3 * (35 / 9) ** 0.5, rel=1e-5)
    assert found.p_holm == pytest.approx(0.1356, abs=1e-4)
    (agreed,) = compare([one_five_three_seven(halves_agree=True), zeros])
    assert agreed.p_holm == pytest.approx(0.0533, abs=1e-4)


def test_values_with_equal_cells_are_told_apart_no_more_often_than_allowed() -> None:
    """As independent values they would be in 9 of 100 comparisons."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(800):
        rows = [cross_fit(cells(rng.normal(size=(3, 4))), seeds=range(4), maximize=True) for _ in range(2)]
        wrong += compare(rows)[0].is_shown
    assert wrong / 800 < 0.05


@pytest.mark.parametrize("maximize", [True, False])
def test_a_clearly_better_cell_is_chosen_by_every_seed(maximize: bool) -> None:
    values = np.random.default_rng(1).normal(0, 0.1, size=(3, 6))
    values[1] += 5 if maximize else -5
    found = cross_fit(cells(values), seeds=SEEDS, maximize=maximize)
    assert found is not None
    assert found.cell == 1
    assert set(found.judged.values()) == {1}
    assert list(found.values.values()) == pytest.approx(list(values[1]))


def test_a_cell_that_lacks_a_seed_is_never_chosen() -> None:
    found = cross_fit({"a": {0: 9.0}, "b": {0: 1.0, 1: 2.0}}, seeds=[0, 1], maximize=True)
    assert found is not None
    assert found.cell == "b"
    assert cross_fit({"a": {0: 9.0}}, seeds=[0, 1], maximize=True) is None


def test_one_seed_chooses_for_itself_and_says_so() -> None:
    found = cross_fit({"a": {0: 1.0}, "b": {0: 2.0}}, seeds=[0], maximize=True)
    assert found is not None
    assert (found.cell, found.is_honest, found.mean) == ("b", False, mean([2.0]))


def test_a_single_cell_is_not_chosen_so_one_seed_is_honest() -> None:
    found = cross_fit({"a": {0: 1.0}, "lost": {}}, seeds=[0], maximize=True)
    assert found is not None
    assert found.is_honest


def test_equal_values_are_told_apart_no_more_often_than_allowed() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(300):
        seeds = rng.normal(size=6)  # what a seed does to all of them
        rows = [
            cross_fit({0: dict(enumerate(seeds + rng.normal(size=6)))}, seeds=SEEDS, maximize=True) for _ in range(7)
        ]
        wrong += any(c.is_shown for c in rank(rows, maximize=True).comparisons)
    assert wrong / 300 < 0.08


def row(values: list[float]) -> CrossFitted | None:
    return cross_fit({0: dict(enumerate(values))}, seeds=range(len(values)), maximize=True)


def test_a_change_of_differences_is_that_of_each_seed() -> None:
    """By hand: the differences are 1, 2, 1, 2 before and 5, 6, 5, 7 after, so they change by 4, 4, 4, 5."""
    before = [row([1.0, 2.0, 3.0, 4.0]), row([0.0, 0.0, 2.0, 2.0])]
    after = [row([5.0, 6.0, 7.0, 8.0]), row([0.0, 0.0, 2.0, 1.0])]
    (found,) = changes(before, after)
    expected = paired([5, 6, 5, 7], [1, 2, 1, 2])
    assert (found.before.value, found.after.value, found.change.value) == (1.5, 5.75, 4.25)
    assert found.change == expected.difference
    assert found.p_holm == expected.p
    assert found.is_shown
    assert changes([before[0], None], after) == []


def test_the_interval_of_a_change_is_as_wide_as_that_of_the_tuned_rows() -> None:
    cells = {0: dict(enumerate([1.0, 0.0, 1.2, 0.0])), 1: dict(enumerate([0.0, 1.0, 0.0, 1.1]))}
    tuned = cross_fit(cells, seeds=range(4), maximize=True)
    assert tuned is not None
    assert tuned.widened > 1
    plain = [row([0.0, 0.1, 0.3, 0.2]), row([0.0, 0.0, 0.0, 0.1])]
    (found,) = changes(plain, [tuned, plain[1]])
    (narrow,) = changes(plain, [row(list(tuned.values.values())), plain[1]])
    assert found.change.half_width == pytest.approx(narrow.change.half_width * tuned.widened)  # type: ignore[operator]


def test_idle_nuisance_parameters_change_no_difference_more_often_than_allowed() -> None:
    """Five values that differ, four cells each that do not: both views have the same truth, though other power."""
    rng = np.random.default_rng(4)
    verdicts_differ = wrong = 0
    for _ in range(200):
        seeds = rng.normal(0, 0.5, 6)
        values = [cells(0.75 * v + seeds + rng.normal(size=(4, 6))) for v in range(5)]
        tuned = [cross_fit(of, seeds=SEEDS, maximize=True) for of in values]
        fixed = [cross_fit({0: of[0]}, seeds=SEEDS, maximize=True) for of in values]
        before, after = rank(fixed, maximize=True), rank(tuned, maximize=True)
        found = changes(fixed, tuned)
        verdicts_differ += any(before.verdict(c.first, c.second) != after.verdict(c.first, c.second) for c in found)
        wrong += any(c.is_shown for c in found)
    assert verdicts_differ / 200 > 0.5
    assert wrong / 200 <= 0.05
