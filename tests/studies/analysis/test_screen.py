from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import optuna
import pytest

import studies.analysis.screen
from studies.analysis.axis import Axis
from studies.analysis.screen import ScreenRow, screen

Array = npt.NDArray[np.float64]
UNIT = (0.0, 1.0)
SHARE_OF_LR = 0.979  # of the variance of max(0, −3 − log10 lr) + .5 u, lr in [1e-6, 1e-1]: in closed form
LR = (-6.0, -1.0)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def few_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at the null."""
    monkeypatch.setattr(studies.analysis.screen, "N_SHUFFLES", 2)


def screened(
    x: Array,
    y: Array,
    *,
    bounds: Sequence[tuple[float, float]] | None = None,
    categorical: Sequence[bool] | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> list[ScreenRow]:
    d = x.shape[1]
    columns = zip(names or "abcdef"[:d], categorical or [False] * d, bounds or [UNIT] * d, strict=True)
    axes = [Axis(name, "categorical" if chosen else "continuous", "linear", *ends) for name, chosen, ends in columns]
    return screen(axes, x, y, seed=seed)


def of(rows: Sequence[ScreenRow], method: str) -> dict[str, ScreenRow]:
    return {row.name: row for row in rows if row.method == method}


def points(n: int, d: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).random((n, d))


def learning_rate(n: int) -> tuple[Array, Array]:
    """Encoded log10 lr and u, and their loss."""
    x = points(n, 2) * [5, 1] - [6, 0]
    return x, np.asarray(np.maximum(0.0, -3 - x[:, 0]) + 0.5 * x[:, 1])


@pytest.mark.slow
def test_fanova_on_encoded_parameters_has_the_known_share_of_the_learning_rate() -> None:
    x, loss = learning_rate(150)
    rows = screened(x, loss, bounds=[LR, UNIT], names=["lr", "u"])
    fanova = of(rows, "fanova")
    assert fanova["lr"].raw == pytest.approx(SHARE_OF_LR, abs=0.03)
    assert fanova["lr"].above_null
    assert not fanova["u"].above_null


@pytest.mark.usefixtures("few_shuffles")
def test_ped_anova_asks_only_what_gets_into_the_best_tenth() -> None:
    x, loss = learning_rate(150)
    best = of(screened(x, loss, bounds=[LR, UNIT]), "ped-anova")
    worst = of(screened(x, -loss, bounds=[LR, UNIT]), "ped-anova")
    assert best["a"].normalised < 0.5  # among the best, the rate no longer matters
    assert worst["a"].normalised > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pure_pair_looks_important_when_normalised_but_stays_near_the_null(seed: int) -> None:
    x = points(200, 3, seed)
    rows = screened(x, (x[:, 0] - 0.5) * (x[:, 1] - 0.5))
    fanova, ped_anova = of(rows, "fanova"), of(rows, "ped-anova")
    assert not any(row.above_null for row in fanova.values())
    assert fanova["a"].normalised + fanova["b"].normalised > 0.7  # though neither has a main effect
    assert all(row.raw < 5 * row.null for row in ped_anova.values())


@pytest.mark.slow
def test_a_ridge_is_seen_by_neither() -> None:
    x = points(200, 3)
    rows = screened(x, -np.cos(2 * np.pi * (x[:, 0] - x[:, 1])))
    assert not any(row.above_null for row in rows)


@pytest.fixture(scope="module")
def additive() -> list[ScreenRow]:
    x = points(80, 3)
    return screened(x, 0.3 * x[:, 0] + x[:, 1])


def test_an_effect_is_above_the_null_and_nothing_is_not(additive: list[ScreenRow]) -> None:
    for method in ("ped-anova", "fanova"):
        rows = of(additive, method)
        assert rows["b"].above_null
        assert not rows["c"].above_null


def test_rows_come_by_method_then_the_largest_first(additive: list[ScreenRow]) -> None:
    assert [row.method for row in additive] == ["ped-anova"] * 3 + ["fanova"] * 3
    for rows in (additive[:3], additive[3:]):
        assert [row.raw for row in rows] == sorted((row.raw for row in rows), reverse=True)
        assert sorted(row.name for row in rows) == ["a", "b", "c"]


def test_normalised_numbers_sum_to_one_in_proportion_to_the_raw_ones(additive: list[ScreenRow]) -> None:
    for rows in (additive[:3], additive[3:]):
        total = sum(row.raw for row in rows)
        assert total != pytest.approx(1)
        assert [row.normalised for row in rows] == pytest.approx([row.raw / total for row in rows])


@pytest.mark.usefixtures("few_shuffles")
def test_the_same_seed_gives_the_same_rows_and_another_does_not() -> None:
    x = points(30, 2)
    y = x[:, 0] + 0.3 * x[:, 1]
    rows = screened(x, y)
    assert screened(x, y) == rows
    assert screened(x, y, seed=1) != rows


@pytest.mark.usefixtures("few_shuffles")
def test_the_scales_of_value_and_parameters_change_nothing() -> None:
    x = points(40, 2)
    y = x[:, 0] + 0.3 * x[:, 1]
    rows = screened(x, y)
    moved = screened(1e-9 * x + 7e-9, 1e-200 * y, bounds=[(7e-9, 8e-9)] * 2)
    assert [row.name for row in moved] == [row.name for row in rows]
    assert [row.raw for row in moved] == pytest.approx([row.raw for row in rows], rel=1e-2)


@pytest.mark.usefixtures("few_shuffles")
def test_a_category_has_its_known_share_and_the_order_of_its_levels_is_nothing() -> None:
    x = points(120, 2)
    level = np.random.default_rng(2).integers(0, 3, 120)
    y = (level == 1) + 0.5 * x[:, 1]
    found = []
    for labels in (np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 2.0])):
        x[:, 0] = labels[level]
        found.append(screened(x, y, categorical=[True, False], bounds=[(0.0, 2.0), UNIT]))
    expected = (2 / 9) / (2 / 9 + 0.25 / 12)
    assert of(found[0], "fanova")["a"].raw == pytest.approx(expected, abs=0.05)
    one, other = (of(rows, "ped-anova")["a"].raw for rows in found)
    assert one == pytest.approx(other)


@pytest.mark.usefixtures("few_shuffles")
def test_parameters_that_never_varied_are_left_out() -> None:
    x = points(30, 3)
    x[:, 1] = 0.5
    y = x[:, 0].copy()
    assert {row.name for row in screened(x, y)} == {"a", "c"}
    still = [(0.0, 1.0), (0.5, 0.5), (0.0, 1.0)]
    assert {row.name for row in screened(x, y, bounds=still)} == {"a", "c"}
    assert screened(x[:, [1]], y) == []


@pytest.mark.parametrize("n", [0, 1, 9])
def test_fewer_than_ten_trials_give_no_rows(n: int) -> None:
    assert screened(points(n, 2), np.arange(n, dtype=float)) == []


def test_a_constant_value_gives_no_rows() -> None:
    assert screened(points(30, 2), np.full(30, 3.0)) == []


@pytest.mark.usefixtures("few_shuffles")
def test_where_nine_in_ten_tie_the_best_tenth_is_all_and_has_no_importance() -> None:
    x = points(100, 2)
    rows = screened(x, np.where(x[:, 0] > 0.05, 1.0, 0.0))
    ped_anova = of(rows, "ped-anova")
    assert [(row.raw, row.normalised, row.above_null) for row in ped_anova.values()] == [(0, 0, False)] * 2


@pytest.mark.usefixtures("few_shuffles")
def test_trials_that_no_tree_can_part_have_no_importance() -> None:
    x = points(30, 2)
    fanova = of(screened(0.5 + 1e-12 * x, x[:, 0].copy()), "fanova")
    assert [row.raw for row in fanova.values()] == [0, 0]
