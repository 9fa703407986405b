from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from studies.analysis.designed.factorial import Anova, AnovaRow, anova

Array = npt.NDArray[np.float64]
Shares = Mapping[tuple[int, ...], float]
NAMES = ("lr", "batch_size", "width", "depth")
A, B, C, AB, ABC = (0,), (1,), (2,), (0, 1), (0, 1, 2)

# Two optimizers × three batch sizes × two seeds. Cell means 2 5 8 / 4 5 12, row means 5 7, column means 3 5 10, mean 6:
# SS rows 6·(1 + 1) = 12, columns 4·(9 + 1 + 16) = 104, pair 2·(0 + 1 + 1 + 0 + 1 + 1) = 8, within 6·2 = 12, total 136.
TEXTBOOK = np.array([1, 3, 4, 6, 7, 9, 5, 3, 4, 6, 11, 13], dtype=float)
TEXTBOOK_LEVELS: dict[str, Sequence[object]] = {
    "optimizer": ["adam"] * 6 + ["sgd"] * 6,
    "batch_size": [16, 16, 32, 32, 64, 64] * 2,
}
TEXTBOOK_SEEDS = [0, 1] * 6


def full_design(shape: Sequence[int], replicates: int) -> tuple[dict[str, list[int]], list[int]]:
    """Levels of each factor, and the replicate, of every trial of a complete design."""
    rows = list(itertools.product(*map(range, shape), range(replicates)))
    columns = [[row[i] for row in rows] for i in range(len(shape) + 1)]
    return dict(zip(NAMES, columns[:-1], strict=False)), columns[-1]


def without(
    levels: dict[str, list[int]], y: Array, lost: set[int], *, block: list[int] | None = None
) -> tuple[dict[str, list[int]], Array, list[int] | None]:
    kept = [i for i in range(len(y)) if i not in lost]
    return (
        {name: [column[i] for i in kept] for name, column in levels.items()},
        y[kept],
        None if block is None else [block[i] for i in kept],
    )


def random_function(shape: tuple[int, ...], shares: Shares, rng: np.random.Generator) -> Array:
    """A function on the grid of which each term has exactly its share of the variance, 1 in total."""
    total = np.zeros(shape)
    for term, share in shares.items():
        effect = rng.normal(size=[size if axis in term else 1 for axis, size in enumerate(shape)])
        for axis in term:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        total = total + effect * math.sqrt(share / np.square(effect).mean())
    return total


def simulate(
    shape: tuple[int, ...],
    shares: Shares,
    *,
    noise: float,
    replicates: int = 2,
    n: int = 200,
    block_sd: float = 0.0,
    use_block: bool = False,
    drop: float = 0.0,
) -> list[Anova]:
    """Tables of `n` data sets: random functions with the given shares, seeds' effects, noise, and lost trials."""
    rng = np.random.default_rng(3)
    levels, block = full_design(shape, replicates)
    tables = []
    for i in range(n):
        y = np.repeat(random_function(shape, shares, rng).ravel(), replicates) + noise * rng.normal(size=len(block))
        y = y + block_sd * rng.normal(size=replicates)[block]
        lost = set(np.flatnonzero(rng.random(len(y)) < drop).tolist())
        used, values, blocks = without(levels, y, lost, block=block)
        tables.append(anova(used, values, block=blocks if use_block else None, seed=i % 5))
    return tables


def row_of(table: Anova, *term: str) -> AnovaRow:
    return next(row for row in table.rows if row.term == term)


def p_values(tables: Sequence[Anova], *term: str) -> Array:
    return np.array([row_of(table, *term).p for table in tables], dtype=float)


def coverage(tables: Sequence[Anova], shares: Shares, *, noise: float) -> dict[str, float]:
    """How often omega²'s and the share's interval hold the truth, pooled over terms that have a share."""
    hits: dict[str, list[bool]] = {"omega_sq": [], "share": []}
    for table in tables:
        for term, share in shares.items():
            row = row_of(table, *(NAMES[i] for i in term))
            for name, truth, ends in (
                ("omega_sq", share / (1 + noise**2), row.omega_sq.ends),
                ("share", share, row.share.ends),
            ):
                low, high = np.array(ends, dtype=float)
                hits[name].append(bool(low <= truth <= high))
    return {name: float(np.mean(found)) for name, found in hits.items()}


def test_a_two_way_table_agrees_with_the_one_worked_by_hand() -> None:
    table = anova(TEXTBOOK_LEVELS, TEXTBOOK)
    assert [(row.term, row.df) for row in table.rows] == [
        (("optimizer",), 1),
        (("batch_size",), 2),
        (("optimizer", "batch_size"), 2),
        ((), 6),
    ]
    assert [row.sum_sq for row in table.rows] == pytest.approx([12, 104, 8, 12])
    assert [row.mean_sq for row in table.rows] == pytest.approx([12, 52, 4, 2])
    assert [row.f for row in table.rows[:3]] == pytest.approx([6, 26, 2])
    p = [stats.f.sf(6, 1, 6), stats.f.sf(26, 2, 6), stats.f.sf(2, 2, 6)]
    assert [row.p for row in table.rows[:3]] == pytest.approx(p)
    assert [row.n_levels for row in table.rows] == [(2,), (3,), (2, 3), ()]
    assert (table.n, table.n_cells, table.n_missing_cells, table.replicates) == (12, 6, 0, (2, 2))
    assert (table.balanced, table.lack_of_fit, table.block, table.notes, table.problem) == (True, None, None, (), None)


def test_effect_sizes_agree_with_those_worked_by_hand() -> None:
    """(SS − df·MSE) is 10, 100, 4: over 136 + 2 for omega², over their sum for the noise-free share."""
    rows = anova(TEXTBOOK_LEVELS, TEXTBOOK).rows[:3]
    assert [row.omega_sq.value for row in rows] == pytest.approx([10 / 138, 100 / 138, 4 / 138])
    assert [row.share.value for row in rows] == pytest.approx([10 / 114, 100 / 114, 4 / 114])


def test_blocks_take_their_common_effect_out_of_the_error() -> None:
    """Means of the seeds 32/6 and 40/6: SS = 12·(4/6)² = 16/3, which leaves 20/3 and 5 df; the total stays 136."""
    table = anova(TEXTBOOK_LEVELS, TEXTBOOK, block=TEXTBOOK_SEEDS)
    assert table.block is not None
    assert (table.block.df, table.rows[-1].df) == (1, 5)
    assert [table.block.sum_sq, table.rows[-1].sum_sq] == pytest.approx([16 / 3, 20 / 3])
    assert table.block.f == pytest.approx(4)
    assert [row.f for row in table.rows[:3]] == pytest.approx([9, 39, 3])
    assert table.rows[1].omega_sq.value == pytest.approx((104 - 2 * 4 / 3) / (136 + 4 / 3))
    assert table.balanced
    assert table.notes == ("the common effect of 2 blocks is taken out of the error",)


def test_one_factor_agrees_with_scipy_balanced_or_not() -> None:
    rng = np.random.default_rng(0)
    for sizes in ((4, 4, 4), (2, 5, 3)):
        groups = [rng.normal(size=size) + i for i, size in enumerate(sizes)]
        levels = {"lr": [i for i, size in enumerate(sizes) for _ in range(size)]}
        row = anova(levels, np.concatenate(groups)).rows[0]
        expected = stats.f_oneway(*groups)
        assert (row.f, row.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("effect", [0.0, 0.6, 3.0])
def test_a_single_terms_interval_inverts_the_noncentral_f(effect: float) -> None:
    """Steiger's limits are the λ at which F has probability .975 and .025; omega² is λ / (λ + n)."""
    y = np.random.default_rng(4).normal(size=60) + effect * np.repeat([-1, 0, 1], 20)
    row = anova({"lr": np.repeat([0, 1, 2], 20).tolist()}, y).rows[0]
    low, high, f = np.array([*row.omega_sq.ends, row.f], dtype=float)
    if effect:
        assert stats.ncf.cdf(f, 2, 57, 60 * low / (1 - low)) == pytest.approx(0.975, abs=0.008)
    else:
        assert low == 0
    f = max(f, stats.f.ppf(0.5, 2, 57))  # the module's own rule for the upper end
    assert stats.ncf.cdf(f, 2, 57, 60 * high / (1 - high)) == pytest.approx(0.025, abs=0.008)


def test_an_unbalanced_design_gets_type_two_sums_of_squares() -> None:
    """Against residual sums of squares of models written out here: each main effect given the other alone."""
    levels, _ = full_design((3, 4), 3)
    levels, y, _ = without(levels, np.random.default_rng(5).normal(size=36), {0, 1, 7, 20, 35})
    one, a, b = np.ones((len(y), 1)), np.eye(3)[levels["lr"]], np.eye(4)[levels["batch_size"]]
    cells = np.eye(12)[np.array(levels["lr"]) * 4 + np.array(levels["batch_size"])]

    def left(*columns: Array) -> float:
        x = np.hstack([one, *columns])
        return float(np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum())

    table = anova(levels, y)
    expected = [left(b) - left(a, b), left(a) - left(a, b), left(a, b) - left(cells), left(cells)]
    assert [row.sum_sq for row in table.rows] == pytest.approx(expected)
    assert [row.df for row in table.rows] == [2, 3, 6, 31 - 12]
    assert (table.balanced, table.replicates, table.n_missing_cells) == (False, (1, 3), 0)
    assert any("Type II" in note for note in table.notes)


def test_effect_sizes_weigh_levels_equally_however_unbalanced_the_trials() -> None:
    """A nearly noise-free pair function; half of one level's trials are lost, which must move no share."""
    shares = {A: 0.3, B: 0.5, AB: 0.2}
    levels, _ = full_design((4, 4), 4)
    rng = np.random.default_rng(6)
    y = np.repeat(random_function((4, 4), shares, rng).ravel(), 4) + 1e-4 * rng.normal(size=64)
    lost = {i for i in range(64) if levels["lr"][i] == 0 and i % 4 < 3}
    levels, y, _ = without(levels, y, lost)
    rows = anova(levels, y).rows[:3]
    assert [row.share.value for row in rows] == pytest.approx([0.3, 0.5, 0.2], abs=1e-3)
    assert [row.omega_sq.value for row in rows] == pytest.approx([0.3, 0.5, 0.2], abs=1e-3)


def test_a_cell_without_trials_is_told_and_its_degree_of_freedom_lost() -> None:
    levels, block = full_design((3, 4), 2)
    levels, y, seeds = without(levels, np.random.default_rng(7).normal(size=24), {0, 1}, block=block)
    table = anova(levels, y, block=seeds)
    assert (table.n_cells, table.n_missing_cells, table.balanced) == (12, 1, False)
    assert [row.df for row in table.rows] == [2, 3, 5, 22 - 11 - 1]
    assert any("1 of 12 cells have no trial" in note for note in table.notes)


def test_effect_sizes_weigh_the_filled_cells_by_their_trials_where_some_are_empty() -> None:
    """(SS − df·MSE) over the same of all cells for the share, over SS_total + MSE for omega²."""
    levels, _ = full_design((3, 4), 2)
    y = np.random.default_rng(7).normal(size=24) + np.array(levels["lr"])
    levels, y, _ = without(levels, y, {0, 1})
    *rows, error = anova(levels, y).rows
    noise, total = error.sum_sq / error.df, float(np.square(y - y.mean()).sum())
    signal = total - error.sum_sq - 10 * noise
    row = rows[0]
    assert row.share.value == pytest.approx((row.sum_sq - 2 * noise) / signal)
    assert row.omega_sq.value == pytest.approx((row.sum_sq - 2 * noise) / (total + noise))


def test_blocks_are_adjusted_for_where_some_of_their_trials_failed() -> None:
    """An effect of the seed alone: without noise beyond it, the terms' sums of squares must stay at noise level."""
    levels, block = full_design((3, 4), 3)
    y = 100.0 * np.array(block) + 0.01 * np.random.default_rng(8).normal(size=36)
    levels, y, seeds = without(levels, y, {2, 4, 9, 17, 30}, block=block)
    table = anova(levels, y, block=seeds)
    assert all(row.mean_sq is not None and row.mean_sq < 1e-3 for row in table.rows)
    assert all(row.omega_sq.ends[1] < 1e-6 for row in table.rows[:3])


def test_seeds_dealt_unevenly_are_adjusted_for_though_every_cell_has_as_many_trials() -> None:
    """Cells of a row in turn miss seed 0, 1, 2: against residual sums of squares of models written out here."""
    lr, seeds = np.repeat([0, 1, 2], 4), np.array([1, 1, 2, 2, 0, 0, 2, 2, 0, 0, 1, 1])
    y = np.random.default_rng(19).normal(size=12) + 5 * seeds
    one_block, cells = np.eye(3)[seeds], np.hstack([np.eye(3)[seeds], np.eye(3)[lr]])

    def left(x: Array) -> float:
        return float(np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum())

    table = anova({"lr": lr.tolist()}, y, block=seeds.tolist())
    assert table.rows[0].sum_sq == pytest.approx(left(one_block) - left(cells))
    assert table.rows[-1].sum_sq == pytest.approx(left(cells))
    assert table.rows[-1].df == 12 - 5
    assert table.balanced is False


def test_noise_that_cells_share_through_their_seeds_is_no_effect() -> None:
    """A chain: cell i has seeds i and i + 1, so that distant cells are compared through many noisy steps."""
    lr = [i for i in range(8) for _ in range(4)]
    seeds = [i + step for i in range(8) for step in (0, 0, 1, 1)]
    rng = np.random.default_rng(20)
    rows = [anova({"lr": lr}, rng.normal(size=32), block=seeds).rows[0] for _ in range(100)]
    assert np.mean([row.omega_sq.lo == 0 for row in rows]) >= 0.93


def test_blocks_that_do_not_connect_the_cells_are_left_out_and_told() -> None:
    levels, _ = full_design((3, 4), 2)
    y = np.random.default_rng(9).normal(size=24)
    for block in (list(range(24)), [0] * 24):
        table = anova(levels, y, block=block)
        assert table.block is None
        assert table.rows == anova(levels, y).rows
        assert any("block is left out" in note for note in table.notes)


def test_two_factors_without_replicates_leave_the_interaction_untested() -> None:
    """Means of the cells above: rows 6 (2 → 1 trial a cell), columns 52, pair 4 with 2 df is the error."""
    table = anova({"lr": [0, 0, 0, 1, 1, 1], "batch_size": [0, 1, 2] * 2}, [2, 5, 8, 4, 5, 12])
    assert [row.sum_sq for row in table.rows] == pytest.approx([6, 52, 4, 4])
    assert [row.f for row in table.rows] == [pytest.approx(3), pytest.approx(13), None, None]
    assert (row_of(table, "lr", "batch_size").p, row_of(table, "lr", "batch_size").share) == (None, None)
    assert table.problem == "lr*batch_size cannot be told from noise: repeat each cell (replicates: 2 or more)"
    assert any("only 2 degrees of freedom" in note for note in table.notes)


def test_three_factors_without_replicates_are_tested_against_the_highest_interaction() -> None:
    levels, _ = full_design((3, 4, 3), 1)
    y = np.random.default_rng(10).normal(size=36)
    table = anova(levels, y)
    assert (table.rows[-1].df, table.lack_of_fit, table.problem) == (2 * 3 * 2, None, None)
    assert sum(row.sum_sq for row in table.rows) == pytest.approx(np.square(y - y.mean()).sum())
    assert all(row.p is not None for row in table.rows[:-1])
    assert table.notes == ("no replicates: interactions above order 2 are taken for noise",)


def test_four_factors_without_replicates_still_test_the_lack_of_fit() -> None:
    levels, _ = full_design((2, 3, 2, 3), 1)
    table = anova(levels, np.random.default_rng(11).normal(size=36))
    assert table.rows[-1].df == 1 * 2 * 1 * 2
    assert table.lack_of_fit is not None


def test_failed_trials_of_a_design_without_replicates_cost_the_error_its_degrees_of_freedom() -> None:
    levels, _ = full_design((3, 4, 3), 1)
    levels, y, _ = without(levels, np.random.default_rng(12).normal(size=36), {3, 20})
    table = anova(levels, y)
    assert (table.rows[-1].df, table.n_missing_cells, table.problem) == (10, 2, None)


def test_interactions_above_the_order_are_the_lack_of_fit() -> None:
    """Two factors with main effects only: the lack of fit is the pair itself."""
    pair = row_of(anova(TEXTBOOK_LEVELS, TEXTBOOK), "optimizer", "batch_size")
    additive = anova(TEXTBOOK_LEVELS, TEXTBOOK, max_order=1)
    assert additive.lack_of_fit == pytest.approx(pair.p)
    assert [row.share.value for row in additive.rows[:2]] == pytest.approx([10 / 114, 100 / 114])
    three_way = {A: 0.5, B: 0.3, ABC: 0.2}
    assert all((table.lack_of_fit or 0) < 1e-3 for table in simulate((3, 4, 3), three_way, noise=0.1, n=20))


def test_the_lack_of_fit_is_the_same_computed_by_either_way() -> None:
    """One trial more, equal to its cell's mean, changes the way and the df but hardly the sums of squares."""
    levels, _ = full_design((3, 3, 3), 4)
    y = np.random.default_rng(13).normal(size=108)
    more = {name: [*column, column[0]] for name, column in levels.items()}
    balanced, unbalanced = anova(levels, y), anova(more, np.append(y, y[:4].mean()))
    assert (balanced.balanced, unbalanced.balanced) == (True, False)
    assert unbalanced.lack_of_fit == pytest.approx(balanced.lack_of_fit, abs=0.02)
    before, after = ([row.share.value for row in table.rows[:-1]] for table in (balanced, unbalanced))
    assert after == pytest.approx(before, abs=0.02, nan_ok=True)


def test_pairs_are_corrected_by_holms_step_down() -> None:
    levels, _ = full_design((3, 3, 3), 2)
    table = anova(levels, np.random.default_rng(14).normal(size=54))
    pairs = sorted((row.p or 0, row.p_holm) for row in table.rows if len(row.term) == 2)
    first, second, third = (p for p, _ in pairs)
    expected = [3 * first, max(3 * first, 2 * second), max(3 * first, 2 * second, third)]
    assert [p for _, p in pairs] == pytest.approx([min(1, p) for p in expected])
    assert all(row.p_holm is None for row in table.rows if len(row.term) != 2)


def test_a_p_value_is_never_zero() -> None:
    levels, _ = full_design((4, 4), 300)
    row = anova(levels, np.array(levels["lr"]) + 0.01 * np.random.default_rng(15).normal(size=4800)).rows[0]
    assert row.p is not None
    assert 0 < row.p < 1e-300


def test_an_upper_end_is_never_zero() -> None:
    tables = simulate((3, 3), {}, noise=1.0, n=100)
    highest = np.array([(row.omega_sq.hi, row.share.hi) for table in tables for row in table.rows[:-1]], dtype=float)
    assert highest.min() > 0.05


def test_the_same_seed_gives_the_same_intervals_and_another_hardly_different_ones() -> None:
    first, same, other = (anova(TEXTBOOK_LEVELS, TEXTBOOK, seed=seed) for seed in (1, 1, 2))
    assert first == same != other
    for row, another in zip(first.rows[:3], other.rows[:3], strict=True):
        assert row.omega_sq.ends == pytest.approx(another.omega_sq.ends, abs=0.02)


def test_neither_the_order_of_trials_and_factors_nor_units_matter() -> None:
    levels, block = full_design((3, 4), 2)
    y = np.random.default_rng(16).normal(size=24) + np.array(levels["lr"])
    order = np.random.default_rng(17).permutation(24)
    shuffled = {name: [levels[name][i] for i in order] for name in ("batch_size", "lr")}
    plain = anova(levels, y, block=block)
    changed = anova(shuffled, -50 * y[order] + 7, block=[block[i] for i in order])
    for name in ("lr", "batch_size"):
        one, two = row_of(plain, name), row_of(changed, name)
        assert (one.p, one.share.value, one.share.lo) == pytest.approx((two.p, two.share.value, two.share.lo), abs=1e-9)
        assert one.omega_sq.ends == pytest.approx(two.omega_sq.ends, abs=1e-9)
    pair, swapped = row_of(plain, "lr", "batch_size"), row_of(changed, "batch_size", "lr")
    assert (pair.p, pair.share.value) == pytest.approx((swapped.p, swapped.share.value), abs=1e-9)


def test_a_factor_with_one_level_is_left_out_and_told() -> None:
    table = anova({**TEXTBOOK_LEVELS, "width": [64] * 12}, TEXTBOOK)
    assert table.rows == anova(TEXTBOOK_LEVELS, TEXTBOOK).rows
    assert table.notes == ("width has one level and is left out",)


@pytest.mark.parametrize(
    ("levels", "y", "said"),
    [
        (TEXTBOOK_LEVELS, [0.1] * 12, "all 12 values are 0.1"),
        (TEXTBOOK_LEVELS, [math.nan, math.inf, *TEXTBOOK[2:]], "2 of 12 values are not finite"),
        ({"lr": [1] * 12}, TEXTBOOK, "no factor has two levels"),
        ({}, [], "no factor has two levels"),
        ({"lr": [0, 1, 2]}, [1, 2, 4], "3 trials leave no degree of freedom"),
        ({"lr": list(range(50)), "width": list(range(50))}, np.arange(50.0), "50 trials leave no degree"),
    ],
)
def test_what_cannot_be_analysed_is_told_with_no_rows(
    levels: Mapping[str, Sequence[object]], y: Sequence[float], said: str
) -> None:
    table = anova(levels, y)
    assert table.rows == ()
    assert table.problem is not None
    assert said in table.problem


def test_replicates_that_repeat_one_training_are_told() -> None:
    levels, _ = full_design((2, 3), 3)  # the mean of three times 0.1 is not 0.1 in floating point
    table = anova(levels, np.repeat([0.1, 0.3, 0.7, 0.2, 0.6, 0.9], 3))
    assert all(row.p is None and row.omega_sq is None for row in table.rows)
    assert "vary their seeds" in (table.problem or "")


def test_a_design_with_no_error_at_all_is_told() -> None:
    """Four cells of nine in one chain of levels, and blocks: as many means as trials."""
    table = anova({"lr": [0, 0, 1, 1, 0], "width": [0, 1, 1, 2, 0]}, [1.0, 2.0, 4.0, 3.0, 5.0], block=[0, 0, 0, 1, 1])
    assert table.rows[-1].df == 0
    assert "no degree of freedom" in (table.problem or "")
    assert all(row.p is None for row in table.rows)


def test_scattered_trials_of_many_factors_are_told_that_no_pair_can_be_tested() -> None:
    rng = np.random.default_rng(18)
    levels = {f"p{i}": rng.integers(0, 5, 100).tolist() for i in range(8)}
    tracemalloc.start()
    table = anova(levels, rng.normal(size=100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # bytes; models of high order have hundreds of thousands of columns
    assert table.problem == "the 28 interactions cannot be told from noise: repeat each cell (replicates: 2 or more)"
    assert table.n_cells == 5**8


def test_columns_of_unequal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="lr has 2 entries but y has 3"):
        anova({"lr": [1, 2]}, [1, 2, 3])
    with pytest.raises(ValueError, match="block has 1 entries but y has 2"):
        anova({"lr": [1, 2]}, [1, 2], block=[0])
    with pytest.raises(ValueError, match="max_order is 0"):
        anova(TEXTBOOK_LEVELS, TEXTBOOK, max_order=0)


@pytest.mark.slow
def test_the_size_of_the_interactions_test_is_five_per_cent() -> None:
    p = p_values(simulate((7, 6), {A: 0.6, B: 0.4}, noise=0.05, n=1000), "lr", "batch_size")
    assert 0.03 <= (p < 0.05).mean() <= 0.07


@pytest.mark.parametrize(
    ("use_block", "drop"), [(True, 0.0), (True, 0.15), (False, 0.15)], ids=["block", "block, failures", "failures"]
)
def test_under_no_interaction_p_values_are_uniform(use_block: bool, drop: float) -> None:
    """Kolmogorov's distance of 200 uniform values exceeds .115 once in a hundred samples; seeds matter if blocked."""
    block_sd = 0.5 if use_block else 0.0
    shares: Shares = {A: 0.6, B: 0.4}
    tables = simulate((4, 3), shares, noise=0.3, replicates=3, block_sd=block_sd, use_block=use_block, drop=drop)
    assert stats.kstest(p_values(tables, "lr", "batch_size"), "uniform").statistic < 0.115


def test_without_blocks_seeds_that_matter_make_the_test_conservative() -> None:
    shares: Shares = {A: 0.6, B: 0.4}
    p = p_values(simulate((7, 6), shares, noise=0.3, block_sd=0.5), "lr", "batch_size")
    assert (p < 0.05).mean() < 0.03


def test_an_interaction_of_four_per_cent_is_found_with_power_above_nine_tenths() -> None:
    shares = {A: 0.5, B: 0.46, AB: 0.04}
    assert (p_values(simulate((7, 6), shares, noise=0.05, n=100), "lr", "batch_size") < 0.05).mean() >= 0.9


@pytest.mark.parametrize(
    ("shape", "noise", "drop"),
    [((7, 6), 0.05, 0.0), ((7, 6), 0.5, 0.0), ((3, 3), 0.3, 0.0), ((4, 3, 3), 0.3, 0.0), ((4, 3), 0.3, 0.15)],
)
def test_intervals_hold_the_truth(shape: tuple[int, ...], noise: float, drop: float) -> None:
    """At least .93 of 600 (nearly independent) intervals; the standard error of .95 is .009."""
    shares = {A: 0.5, B: 0.4, AB: 0.1}
    found = coverage(simulate(shape, shares, noise=noise, drop=drop, replicates=4 if drop else 2), shares, noise=noise)
    assert min(found.values()) >= 0.93


def test_an_effect_that_is_not_there_is_held_by_its_interval() -> None:
    tables = simulate((7, 6), {A: 0.6, B: 0.4}, noise=0.3)
    lower = [row_of(table, "lr", "batch_size").share.lo for table in tables]
    assert np.mean([end == 0 for end in lower]) >= 0.95
