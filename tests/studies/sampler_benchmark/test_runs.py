from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import binomtest
from shell import USERS

from studies.sampler_benchmark.comparisons import PairwiseComparison, comparisons, median_interval, wilson
from studies.sampler_benchmark.curves import TimeToTarget, curves, times_to_target
from studies.sampler_benchmark.runs import BenchmarkRun, is_benchmark


def run(
    sampler: str, seed: int, regret: Sequence[float], *, problem: str = "p", near: float = 0.05, epochs: int = 1
) -> BenchmarkRun:
    n = np.arange(1.0, len(regret) + 1)
    return BenchmarkRun(problem, sampler, seed, np.array(regret), epochs * n, 2.0 * n, near, sampler_s=0.1)


def only(found: Sequence[PairwiseComparison], problem: str | None = "p") -> PairwiseComparison:
    (comparison,) = (comparison for comparison in found if comparison.problem == problem)
    return comparison


def test_a_curve_is_the_median_and_mean_over_seeds_with_bands_around_them() -> None:
    rng = np.random.default_rng(0)
    ends = rng.exponential(size=25)
    (curve,) = curves([run("a", seed, [1.0, 0.5 + end, end]) for seed, end in enumerate(ends)], seed=0)
    assert curve.spent.tolist() == [1.0, 2.0, 3.0]
    assert curve.median[-1] == pytest.approx(np.median(ends))
    assert curve.mean[-1] == pytest.approx(ends.mean())
    assert (curve.median_lo <= curve.median).all()
    assert (curve.median <= curve.median_hi).all()
    assert curve.median_lo[0] == curve.median_hi[0] == 1.0
    half = 1.96 * ends.std() / math.sqrt(25)
    assert curve.mean_hi[-1] - curve.mean_lo[-1] == pytest.approx(2 * half, rel=0.15)


def test_the_bands_of_the_mean_cover_it_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        (curve,) = curves([run("a", s, [value]) for s, value in enumerate(rng.normal(5, 1, 30))], seed=0)
        hits += bool(curve.mean_lo[0] <= 5 <= curve.mean_hi[0])
    assert hits / 200 > 0.89


def test_a_search_that_ended_early_keeps_its_regret_along_epochs() -> None:
    found = curves([run("a", 0, [1.0, 0.2]), run("a", 1, [1.0, 0.8, 0.6, 0.4])], "epochs", seed=0)
    assert found[0].spent[-1] == 4.0
    assert found[0].median[-1] == pytest.approx((0.2 + 0.4) / 2)


def test_the_chance_counts_wins_under_the_same_seed_and_half_of_the_ties() -> None:
    a = [run("a", seed, [end]) for seed, end in enumerate([0.1, 0.2, 0.3, 0.4])]
    b = [run("b", seed, [end]) for seed, end in enumerate([0.2, 0.2, 0.1, 0.9])]
    comparison = only(comparisons([*a, *reversed(b)]))
    assert (comparison.a, comparison.b, comparison.n, comparison.at) == ("a", "b", 4, 1)
    assert comparison.chance.value == 2.5 / 4
    assert comparison.gain.value == pytest.approx(np.median([0.1, 0.0, -0.2, 0.5]))
    assert comparison.p == 1.0


def test_ties_have_no_part_in_the_sign_test() -> None:
    """Six wins and four ties: all six have the same sign by chance in 2 · ½⁶ of cases."""
    a = [run("a", seed, [0.1]) for seed in range(10)]
    b = [run("b", seed, [0.2 if seed < 6 else 0.1]) for seed in range(10)]
    comparison = only(comparisons([*a, *b]))
    assert comparison.chance.value == 8 / 10
    assert comparison.p == pytest.approx(2 * 0.5**6)


def test_what_a_place_of_the_curve_is_reached_with_counts_there() -> None:
    """A trial whose end is a rounding away from a place, too: 60 places from 1 to 100 seconds, the 30th in between."""
    place = float(np.geomspace(1.0, 100.0, 60)[29])
    ends = np.array([1.0, place * (1 + 1e-12), 100.0])
    regret = np.array([1.0, 0.5, 0.25])
    one = BenchmarkRun("p", "a", 0, regret, np.arange(1.0, 4.0), ends, 0.05, sampler_s=0.1)
    (curve,) = curves([one], "seconds", seed=0)
    assert (curve.spent[29], len(curve.spent)) == (place, 60)
    assert curve.median.tolist() == [1.0] * 29 + [0.5] * 30 + [0.25]


def test_a_sure_winner_is_sure_after_the_correction() -> None:
    ends = {"good": 0.1, "bad": 0.5, "worse": 0.7}
    rng = np.random.default_rng(0)
    runs = [run(name, seed, [end + 0.05 * rng.random()]) for name, end in ends.items() for seed in range(20)]
    found = {(comparison.a, comparison.b): comparison for comparison in comparisons(runs)}
    best = found["good", "bad"]
    assert best.chance.value == 1.0
    assert best.chance.is_above(0.8)
    assert best.p == pytest.approx(3 * 2 * 0.5**20)  # Holm: the smallest of three
    assert best.gain.ends[0] <= best.gain.value <= best.gain.ends[1]
    assert best.gain.value == pytest.approx(0.4, abs=0.05)


def test_samplers_that_are_alike_are_hardly_ever_told_apart() -> None:
    rng = np.random.default_rng(0)
    sure = [
        only(comparisons([run(name, seed, [rng.random()]) for name in "ab" for seed in range(15)])).p < 0.05
        for _ in range(200)
    ]
    assert np.mean(sure) <= 0.06


def test_unequal_budgets_are_compared_at_the_smaller_one() -> None:
    comparison = only(comparisons([run("a", 0, [1.0, 0.5]), run("b", 0, [1.0, 0.9, 0.1])]))
    assert comparison.at == 2
    assert comparison.gain.value == pytest.approx(0.4)


def test_all_problems_together_are_paired_by_problem_and_seed() -> None:
    runs = [run("a", s, [0.1], problem=p) for p in "pq" for s in (0, 1)]
    runs += [run("b", s, [0.2 if p == "p" else 0.05], problem=p) for p in "pq" for s in (0, 1)]
    pooled = only(comparisons(runs), None)
    assert pooled.n == 4
    assert pooled.chance.value == 0.5


def test_who_missed_a_problem_is_compared_only_where_it_was() -> None:
    runs = [run(name, 0, [0.1], problem=p) for p in "pq" for name in "ab"] + [run("c", 0, [0.3], problem="p")]
    found = comparisons(runs)
    assert {(d.a, d.b) for d in found if d.problem is None} == {("a", "b")}
    assert {(d.a, d.b) for d in found if d.problem == "p"} == {("a", "b"), ("a", "c"), ("b", "c")}


def test_who_never_met_is_not_compared() -> None:
    assert comparisons([run("a", 0, [0.1]), run("b", 1, [0.2])]) == []


@pytest.mark.parametrize(("wins", "n"), [(0, 8), (3, 8), (30, 40), (12, 12)])
def test_the_interval_of_a_share_is_wilsons(wins: int, n: int) -> None:
    known = binomtest(wins, n).proportion_ci(method="wilson")
    assert wilson(wins / n, n).ends == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(
    ("n", "alpha", "places"), [(20, 0.05, (6, 15)), (8, 0.05, (1, 8)), (25, 0.01, (6, 20)), (5, 0.05, None)]
)
def test_the_interval_of_a_median_is_that_of_the_books(n: int, alpha: float, places: tuple[int, int] | None) -> None:
    expected = (-math.inf, math.inf) if places is None else places
    assert median_interval(np.arange(1.0, n + 1), alpha=alpha) == expected


def test_an_interval_of_a_gain_holds_zero_where_the_corrected_test_does_not_decide() -> None:
    rng = np.random.default_rng(0)
    runs = [run(name, seed, [k * 0.25 + rng.normal()]) for k, name in enumerate("abcdef") for seed in range(40)]
    found = comparisons(runs)
    assert {comparison.p < 0.05 for comparison in found} == {True, False}
    assert all(
        (comparison.p < 0.05) == (comparison.gain.is_above(0) or comparison.gain.is_below(0)) for comparison in found
    )


def time_in(found: Sequence[TimeToTarget], measure: str) -> TimeToTarget:
    return next(r for r in found if r.measure == measure)


def test_what_was_never_reached_counts_as_longer_than_all() -> None:
    early, late, never = [1.0, 0.04, 0.04, 0.04], [1.0, 1.0, 1.0, 0.05], [1.0, 0.9, 0.8, 0.7]
    found = times_to_target([run("a", s, r) for s, r in enumerate([early, late, never])], seed=0)
    trials = time_in(found, "trials")
    assert (trials.reached, trials.n) == (2, 3)
    assert trials.median.value == 4.0
    assert trials.median.hi == math.inf
    assert trials.restricted == pytest.approx((2 + 4 + 4) / 3)
    assert time_in(found, "seconds").median.value == 8.0
    assert time_in(found, "seconds").restricted is None

    lost = time_in(times_to_target([run("a", s, r) for s, r in enumerate([early, never, never])], seed=0), "trials")
    assert lost.median.value == math.inf
    assert lost.restricted == pytest.approx((2 + 4 + 4) / 3)


def test_of_an_even_number_the_median_is_infinite_once_half_came_nowhere() -> None:
    found = times_to_target([run("a", 0, [0.0]), run("a", 1, [1.0])], seed=0)
    assert time_in(found, "trials").median.value == math.inf


def test_epochs_are_counted_where_trials_are_cut_short() -> None:
    found = times_to_target([run("a", 0, [1.0, 0.01], epochs=8)], seed=0)
    assert time_in(found, "epochs").median.value == 16.0


@pytest.mark.parametrize(
    ("target", "is_one"),
    [
        ("studies.sampler_benchmark.Search", True),
        ("studies.sampler_benchmark.search.Search", True),
        ("studies.sampler_benchmark.Branin", False),
        ("lightning_modules.mlp.MLP", False),
    ],
)
def test_a_study_is_a_benchmark_if_its_model_is_a_search(target: str, is_one: bool) -> None:
    assert is_benchmark(OmegaConf.create({"model": {"_target_": target}})) is is_one


def test_no_model_is_imported_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(USERS))
    assert not is_benchmark(OmegaConf.create({"model": {"_target_": "broken_module.Search"}}))
