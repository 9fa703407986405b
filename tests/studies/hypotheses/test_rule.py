"""Verdicts on constructed data whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t

from studies.analysis.designed.factorial import anova
from studies.analysis.estimate import Estimate
from studies.analysis.levels import MIN_SEEDS
from studies.analysis.paired import mean, needed
from studies.analysis.values.cross_fitted import cross_fit
from studies.analysis.values.row import ValueRow
from studies.analysis.values.standing import rank
from studies.analysis.values.table import ValueTable
from studies.hypotheses.regret import RegretMatrix, one_fits_all, regret_matrix
from studies.hypotheses.rule import HypothesisTest, NotTestable, contrast, independence, together


def finding(lo: float, hi: float, *, boundary: float = 0.0, n: int = 10) -> HypothesisTest:
    return HypothesisTest("gain", Estimate((lo + hi) / 2, lo, hi, n), boundary, "val/accuracy")


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [(0.1, 0.2, "supported"), (0.0, 0.2, "supported"), (-0.2, -0.1, "contradicted"), (-0.1, 0.1, "undecided")],
)
def test_the_whole_interval_decides(lo: float, hi: float, word: str) -> None:
    assert finding(lo, hi).word == word
    assert finding(lo + 1, hi + 1, boundary=1.0).word == word


def test_few_seeds_and_no_interval_decide_nothing() -> None:
    assert finding(0.1, 0.1, n=MIN_SEEDS - 1).word == "undecided"
    assert HypothesisTest("gain", Estimate(1.0, n=1), 0.0, "").word == "undecided"


def test_a_claim_has_to_hold_in_every_part() -> None:
    good, bad, open_ = finding(1, 2), finding(-2, -1), finding(-1, 1)
    assert together([good, good]) == "supported"
    assert together([good, open_]) == "undecided"
    assert together([open_, bad]) == "contradicted"
    assert together([]) == "undecided"


def a_table(values: dict[str, np.ndarray], *, maximize: bool = True) -> ValueTable:
    rows = [cross_fit({0: dict(enumerate(v))}, seeds=range(len(v)), maximize=maximize) for v in values.values()]
    ranking = rank(rows, maximize=maximize)
    standings = zip(values.items(), ranking.standings, strict=True)
    told = tuple(ValueRow(label, {}, len(v), 0, standing, metric=mean(v)) for (label, v), standing in standings)
    return ValueTable("depth", "val/accuracy", "tuned", told, ranking, True)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_contrast_is_the_paired_gain_and_more_of_it_speaks_for_the_claim(maximize: bool) -> None:
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=8)
    better = 0.3 if maximize else -0.3
    table = a_table({"1": seeds, "2": seeds, "6": seeds + better + rng.normal(0, 0.01, 8)}, maximize=maximize)
    found = contrast(table, before="1", after="6", boundary=0.1, maximize=maximize)
    assert found.word == "supported"
    assert found.gain.value == pytest.approx(0.3, abs=0.02)
    back = contrast(table, before="6", after="1", boundary=0.1, maximize=maximize)
    assert back.word == "contradicted"
    with pytest.raises(NotTestable, match="depth = 4 has no value"):
        contrast(table, before="1", after="4", boundary=0.1, maximize=maximize)
    with pytest.raises(NotTestable, match="depth = 1 is compared with itself"):
        contrast(table, before="1", after="1", boundary=0.1, maximize=maximize)


def test_undecided_says_how_many_seeds_would_decide() -> None:
    rng = np.random.default_rng(1)
    table = a_table({"1": np.zeros(6), "6": rng.normal(0.2, 1, 6)})
    found = contrast(table, before="1", after="6", boundary=0.0, maximize=True)
    assert found.word == "undecided"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 6


def grid(effect: float) -> HypothesisTest:
    rng = np.random.default_rng(2)
    a, b, r = np.meshgrid(np.arange(5), np.arange(4), np.arange(4), indexing="ij")
    y = a + b + effect * (a - 2) * (b - 1.5) + rng.normal(0, 0.1, a.shape)
    levels = {"lr": list(a.ravel()), "batch_size": list(b.ravel())}
    return independence(anova(levels, y.ravel(), block=list(r.ravel())), boundary=0.05)


def test_independence_is_contradicted_by_a_pair_and_supported_by_a_sum() -> None:
    product, additive = grid(1.0), grid(0.0)
    assert (product.word, additive.word) == ("contradicted", "supported")
    share = 2 * 1.25 / (2 * 1.25 + 2 + 1.25)  # variances of 0…4 and 0…3, and of their product
    assert -product.gain.value == pytest.approx(share, abs=0.02)
    assert "lr × batch_size" in product.what


def four_factors(function: Callable[..., np.ndarray], noise: float) -> HypothesisTest:
    rng = np.random.default_rng(3)
    *codes, seed = np.meshgrid(*4 * [np.array([-1, 1])], np.arange(8), indexing="ij")
    y = function(*codes) + rng.normal(0, noise, seed.shape)
    levels = {name: list(code.ravel()) for name, code in zip("abcd", codes, strict=True)}
    return independence(anova(levels, y.ravel(), block=list(seed.ravel())), boundary=0.05)


def test_interactions_count_together_and_of_any_order() -> None:
    k = 0.2
    found = four_factors(lambda *x: sum(x) + k * sum(a * b for a, b in combinations(x, 2)), noise=0.05)
    assert found.gain.value == pytest.approx(-6 * k**2 / (4 + 6 * k**2), abs=0.005)  # each pair alone is below .01
    assert found.word == "contradicted"
    for parity in (lambda a, b, c, d: a * b * c, lambda a, b, c, d: a * b * c * d):
        high = four_factors(lambda *x, parity=parity: sum(x) + parity(*x), noise=0.05)
        assert high.gain.value == pytest.approx(-0.2, abs=0.01)
        assert high.word == "contradicted"


def test_the_interval_of_independence_is_that_of_the_pairs_share() -> None:
    """A share that lies on the boundary itself parts nothing from it."""
    rng = np.random.default_rng(5)
    a, b, r = np.meshgrid(np.arange(3), np.arange(3), np.arange(4), indexing="ij")
    y = a + b + 0.3 * (a - 1) * (b - 1) + rng.normal(0, 0.3, a.shape)
    levels = {"lr": list(a.ravel()), "batch_size": list(b.ravel())}
    analysis = anova(levels, y.ravel(), block=list(r.ravel()))
    (pair,) = (row for row in analysis.rows if len(row.term) == 2)
    assert pair.share is not None
    found = independence(analysis, boundary=pair.share.value)
    assert found.word == "undecided"
    assert (found.gain.value, *found.gain.ends) == pytest.approx((pair.share.turned.value, *pair.share.turned.ends))


def tasks(*, differ: bool) -> dict[str, dict[object, dict[int, float]]]:
    rng = np.random.default_rng(3)
    tops = {"a": 0, "b": 2 if differ else 0, "c": 0}
    return {
        task: {
            cell: {seed: 0.9 - 0.05 * abs(cell - top) + rng.normal(0, 0.002) for seed in range(6)} for cell in range(4)
        }
        for task, top in tops.items()
    }


def test_the_regret_of_a_borrowed_setting_is_what_it_loses() -> None:
    matrix = regret_matrix(tasks(differ=True), seeds=range(6), maximize=True)
    assert matrix.settings == {"a": 0, "b": 2, "c": 0}
    assert matrix.regret["a", "b"].value == pytest.approx(0.1, abs=0.01)
    assert matrix.regret["a", "c"].value == 0.0
    found = one_fits_all(matrix, boundary=0.01, metric="val/accuracy")
    assert found.word == "contradicted"
    same = one_fits_all(regret_matrix(tasks(differ=False), seeds=range(6), maximize=True), boundary=0.01, metric="m")
    assert same.word == "supported"


def test_a_regret_is_positive_where_less_is_better_too() -> None:
    values: dict[str, dict[object, dict[int, float]]] = {
        "a": {0: dict.fromkeys(range(4), 1.0), 1: dict.fromkeys(range(4), 3.0)},
        "b": {0: dict.fromkeys(range(4), 7.0), 1: dict.fromkeys(range(4), 2.0)},
    }
    matrix = regret_matrix(values, seeds=range(4), maximize=False)
    assert matrix.settings == {"a": 0, "b": 1}
    assert {pair: found.value for pair, found in matrix.regret.items()} == {("a", "b"): 5.0, ("b", "a"): 2.0}


def test_a_regret_is_that_of_the_cells_that_the_other_half_chose_and_its_interval_tells_so() -> None:
    """On `a` even seeds choose cell 0 and odd ones cell 1, so on `b` seeds 0 and 2 are judged in cell 1 and lose 1 and
    3: their standard deviation is √2. Halves that choose differently widen by √(1 + n / (n - 1)); there are two pairs.
    """
    values: dict[str, dict[object, dict[int, float]]] = {
        "a": {0: {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.0}, 1: {0: 0.0, 1: 0.9, 2: 0.0, 3: 0.9}},
        "b": {0: dict.fromkeys(range(4), 9.0), 1: {0: 8.0, 1: 5.0, 2: 6.0, 3: 5.0}},
    }
    matrix = regret_matrix(values, seeds=range(4), maximize=True)
    assert matrix.settings == {"a": 0, "b": 0}
    regret = matrix.regret["a", "b"]
    assert regret.value == 1.0
    half = math.sqrt(1 + 4 / 3) * t.ppf(1 - 0.05 / 2 / 2, 3) * math.sqrt(2) / math.sqrt(4)
    assert regret.lo == pytest.approx(1 - half)


def test_a_regret_is_bounded_from_above_by_the_cell_that_may_be_furthest_ahead() -> None:
    """Both tasks choose cell 0; on `b` cell 1 is behind it by 1 ± 2 and may be ahead by t·2/√5 - 1, for two pairs."""
    swings = [-2.0, -2.0, 0.0, 2.0, 2.0]
    cells: dict[object, dict[int, float]] = {
        0: dict.fromkeys(range(5), 9.0),
        1: {seed: 8.0 + swing for seed, swing in enumerate(swings)},
        2: {seed: 1.0 + 0.01 * swing for seed, swing in enumerate(swings)},
    }
    sure: dict[object, dict[int, float]] = {cell: {s: -float(cell) - 0.1 * s for s in range(5)} for cell in range(3)}
    found = regret_matrix({"a": sure, "b": cells}, seeds=range(5), maximize=True).regret["a", "b"]
    assert found.value == 0.0
    assert found.hi == pytest.approx(t.ppf(1 - 0.05 / 2 / 2 / 2, 4) * 2 / math.sqrt(5) - 1)


def test_nothing_fits_all_where_a_regret_cannot_be_told() -> None:
    alike: dict[object, dict[int, float]] = {cell: dict.fromkeys(range(6), 0.9) for cell in range(2)}
    sure: dict[object, dict[int, float]] = {cell: {s: 0.9 - cell - 0.001 * s for s in range(6)} for cell in range(2)}
    matrix = regret_matrix({"alike": alike, "sure": sure}, seeds=range(6), maximize=True)
    assert matrix.regret["sure", "alike"].hi is None
    with pytest.raises(NotTestable, match="the setting of sure on alike"):
        one_fits_all(matrix, boundary=0.01, metric="m")


def test_a_noisy_choice_between_opposite_settings_is_not_taken_for_one_that_fits_all() -> None:
    rng, supported = np.random.default_rng(0), 0
    for _ in range(300):
        values: dict[str, dict[object, dict[int, float]]] = {}
        for task, best in (("a", 0), ("b", 1)):
            x = rng.normal(0, 1, (2, 6))
            x[best] += 0.5
            values[task] = {cell: dict(enumerate(x[cell].tolist())) for cell in range(2)}
        found = one_fits_all(regret_matrix(values, seeds=range(6), maximize=True), boundary=0.4, metric="m")
        supported += found.word == "supported"
    assert supported / 300 <= 0.025


def matrix_of(ahead: tuple[Estimate, ...] = (), **regret: Estimate) -> RegretMatrix:
    """A matrix of entries by their tuned and used task, with `ahead` of each."""
    entries = {(pair[0], pair[1]): found for pair, found in regret.items()}
    return RegretMatrix(("a", "b", "c"), (0, 1), {"a": 0, "b": 1, "c": 1}, entries, dict.fromkeys(entries, ahead))


def test_where_no_regret_is_surely_above_the_boundary_the_largest_that_may_be_is_told() -> None:
    small, wide, vague = Estimate(0.01, 0.005, 0.015, 6), Estimate(0.02, -0.02, 0.06, 6), Estimate(0.0, -0.05, 0.5, 6)
    for entries in ({"ab": small, "ba": wide, "ac": vague}, {"ac": vague, "ba": wide, "ab": small}):
        found = one_fits_all(matrix_of(**entries), boundary=0.03, metric="m")
        assert (found.word, found.gain) == ("undecided", wide.turned)
    surely_small = one_fits_all(matrix_of(ab=small, ba=Estimate(0.02, 0.01, 0.025, 6)), boundary=0.03, metric="m")
    assert (surely_small.word, surely_small.gain.value) == ("supported", -0.02)


def test_the_seeds_of_a_regret_are_those_that_part_every_cell_from_the_boundary() -> None:
    ends = {"near": (0.01, -0.03, 0.05), "far": (-0.2, -0.5, 0.1), "beyond": (0.03, -0.1, 0.16)}
    near, far, beyond = (Estimate(*numbers, 6, level=0.99) for numbers in ends.values())
    regret, apart = Estimate(0.0, -0.01, 0.05, 6), Estimate(-0.3, -0.4, -0.2, 6, level=0.99)
    found = one_fits_all(matrix_of((apart, near, far), ab=regret), boundary=0.02, metric="m")
    assert found.seeds_needed == needed(near, boundary=0.02)
    assert found.seeds_needed > (needed(far, boundary=0.02) or 0)
    untold = one_fits_all(matrix_of((near, beyond), ab=regret), boundary=0.02, metric="m")
    assert (untold.word, untold.seeds_needed) == ("undecided", None)
    large = Estimate(0.05, 0.01, 0.05, 6)
    found = one_fits_all(matrix_of((beyond,), ab=large), boundary=0.02, metric="m")
    assert found.seeds_needed == needed(large, boundary=0.02)


def test_a_cell_that_diverged_on_one_task_is_borrowed_by_none() -> None:
    values = tasks(differ=True)
    del values["c"][0][3]
    assert 0 not in regret_matrix(values, seeds=range(6), maximize=True).settings.values()


def test_one_setting_alone_fits_nothing() -> None:
    """Without a nuisance parameter the borrowed setting is the task's own."""
    values = {task: {cell: v for cell, v in cells.items() if cell == 0} for task, cells in tasks(differ=True).items()}
    matrix = regret_matrix(values, seeds=range(6), maximize=True)
    with pytest.raises(NotTestable, match="nuisance"):
        one_fits_all(matrix, boundary=0.01, metric="m")


def test_other_seeds_hardly_ever_turn_supported_into_contradicted() -> None:
    """Even where the truth lies on the boundary itself, two runs end in opposite verdicts in about 0.1 % of cases."""
    rng = np.random.default_rng(4)
    words = [HypothesisTest("", mean(rng.normal(0.0, 1.0, 6)), 0.0, "").word for _ in range(4000)]
    first, second = words[::2], words[1::2]
    opposite = sum({a, b} == {"supported", "contradicted"} for a, b in zip(first, second, strict=True))
    assert opposite / 2000 < 0.005
