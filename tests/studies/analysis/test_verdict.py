from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from studies.analysis.advice import advice, space_filling_needed
from studies.analysis.estimate import Estimate
from studies.analysis.verdict import (
    LOST,
    Evidence,
    Verdict,
    capped_share,
    disagrees,
    judge,
    replicate_noise,
    replicate_scatter,
)

GOOD = Evidence(n=200, n_parameters=3, q2=0.95, space_filling=1.0)


def test_good_evidence_is_ok_and_needs_no_advice() -> None:
    assert judge(GOOD) == Verdict("ok", ())
    assert advice(GOOD, judge(GOOD)) == ()


def test_one_repeat_among_many_trials_makes_no_difference() -> None:
    evidence = replace(GOOD, n_duplicates=4)
    assert judge(evidence) == Verdict("ok", ())
    assert advice(evidence, judge(evidence)) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"q2": 0.24}, "Q² 0.24"),
        ({"q2": math.nan}, "nothing was fitted"),
        ({"q2": 0.15, "noise_share": 0.3}, "Q² 0.21"),
        ({"error": 1.01}, "the errors of all shares add up to about 1.01"),
        ({"n": 14}, "14 trials for 3 parameters"),
        ({"n": 1, "n_parameters": 1}, "1 trial for 1 parameter"),
        ({"n": 0, "n_parameters": 0}, "no trial has a value"),
        ({"survivors_only": True}, "only survivors"),
        ({"failed": 0.31}, "31% of the trials gave no value"),
        ({"is_constant": True}, "the same value"),
        ({"n_parameters": 0}, "no parameter varies in all trials"),
        ({"unexplained": 0.6}, "of the variance unexplained"),
    ],
)
def test_what_makes_a_result_unreliable(change: dict[str, Any], reason: str) -> None:
    evidence = replace(GOOD, **change)
    verdict = judge(evidence)
    assert verdict.level == "unreliable"
    assert any(reason in said for said in verdict.reasons)
    assert advice(evidence, verdict)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"q2": 0.49}, "Q² 0.49"),
        ({"q2": 0.24, "noise_share": 0.3}, "Q² 0.34"),
        ({"error": 0.26}, "the errors of all shares add up to about 0.26"),
        ({"n": 49}, "49 trials, fewer than 50"),
        ({"n": 21, "n_parameters": 1, "is_grid": True}, "21 trials, fewer than 50"),
        ({"n": 49, "n_parameters": 2, "is_grid": True, "noise_share": 0.1}, "49 trials, fewer than 50"),
        ({"n": 59, "n_parameters": 6}, "59 trials, fewer than 60"),
        ({"space_filling": 0.19}, "19% space-filling"),
        ({"space_filling": None}, "not recorded"),
        ({"failed": 0.06}, "6% of the trials gave no value"),
        ({"capped": 0.03, "failed": 0.03}, "3% lie together at the worst value"),
        ({"lack_of_fit_p": 0.001, "misfit": 0.2}, "lack of fit"),
        ({"against": ("polynomial chaos gives lr 0.05 instead of 0.57 [0.44, 0.59]",)}, "chaos gives lr 0.05"),
        ({"n_duplicates": 5}, "5 trials repeat a point"),
        ({"n_duplicates": 2, "n": 60}, "2 trials repeat a point"),
    ],
)
def test_what_calls_for_caution(change: dict[str, Any], reason: str) -> None:
    evidence = replace(GOOD, **change)
    verdict = judge(evidence)
    assert verdict.level == "caution"
    assert reason in verdict.reasons[0]
    assert advice(evidence, verdict)


@pytest.mark.parametrize(
    "change",
    [
        {"q2": 0.5},
        {"q2": 0.38, "noise_share": 0.25},
        {"error": 0.25},
        {"n": 50},
        {"space_filling": 0.2},
        {"failed": 0.05},
        {"lack_of_fit_p": 0.02, "misfit": 0.2},
        {"lack_of_fit_p": 1e-9, "misfit": 0.05},
        {"unexplained": 0.5},
        {"n": 21, "n_parameters": 1, "is_grid": True, "noise_share": 0.1},
    ],
)
def test_what_is_just_good_enough(change: dict[str, Any]) -> None:
    assert judge(replace(GOOD, **change)).level == "ok"


def test_the_worst_reason_decides_and_all_are_told() -> None:
    verdict = judge(replace(GOOD, n=12, space_filling=0.1))
    assert verdict.level == "unreliable"
    assert len(verdict.reasons) == 2
    assert verdict.and_also("caution", "another").level == "unreliable"


def test_advice_counts_the_trials_that_are_missing() -> None:
    assert space_filling_needed(replace(GOOD, n=30)) == 20
    assert space_filling_needed(replace(GOOD, n=100, space_filling=0.0)) == 25  # 25 of 125 are a fifth
    assert space_filling_needed(replace(GOOD, q2=0.4)) == 200
    assert space_filling_needed(replace(GOOD, error=0.3)) == 200
    assert advice(replace(GOOD, n=30), Verdict("caution")) == (
        "run 20 more quasi-random trials (sampler=qmc, or sampler.explore_fraction=0.9, or Optuna's QMCSampler)",
    )
    assert "20 more trials" in advice(replace(GOOD, n=30, is_grid=True), Verdict("caution"))[0]
    (only,) = advice(replace(GOOD, space_filling=None), Verdict("caution"))
    assert "analysis.source" in only


@pytest.mark.parametrize(
    ("second", "agrees"),
    [(0.24, True), (0.26, False), (0.10, True), (0.09, False), (0.0, False), (math.nan, True)],
)
def test_a_second_estimate_disagrees_beyond_the_interval_and_a_twentieth(second: float, agrees: bool) -> None:
    assert disagrees(Estimate(0.20, 0.10, 0.21), second) != agrees


def test_ties_at_the_worst_value_are_a_cap() -> None:
    loss = np.concatenate([np.linspace(0, 1, 90), np.full(10, 1.2)])
    assert capped_share(loss) == pytest.approx(0.10)


def test_a_noisy_cluster_apart_from_the_rest_is_a_cap() -> None:
    rng = np.random.default_rng(0)
    loss = np.concatenate([rng.random(90), 2.5 + 0.05 * rng.standard_normal(10)])
    assert capped_share(loss) == pytest.approx(0.10)


@pytest.mark.parametrize("loss", [np.random.default_rng(0).random(100), np.random.default_rng(0).normal(size=60)])
def test_scattered_values_are_no_cap(loss: np.ndarray) -> None:
    assert capped_share(loss) == 0.0


SOME = -np.array([0.7867, 0.8067, 0.8467, 0.86, 0.88, 0.8933, 0.9, 0.9133, *np.linspace(0.92, 0.98, 10)])


@pytest.mark.parametrize(
    ("loss", "capped"),
    [
        (SOME, 0),  # two of a sparse tail
        (np.concatenate([SOME, [0.0, 0.0]]), 0),  # two that diverged may be chance
        (np.concatenate([SOME, [0.0, 0.0, 0.0]]), 3),
        (np.concatenate([SOME, [-0.10, -0.11, -0.12]]), 3),
        (np.concatenate([SOME, [-0.10, -0.11, -0.30]]), 0),  # no tight cluster
        (np.concatenate([SOME, [-0.5, -0.101, -0.102, -0.103]]), 0),  # the way there is as sparse
        (np.concatenate([np.linspace(0, 1, 21), [1.12, 1.121, 1.122]]), 0),  # not far away
        (np.repeat([5.0, 4.0, 3.0, 2.0, 1.0], [3, 3, 5, 6, 5]), 0),  # a coarse scale
        (np.repeat([5.0, 4.0, 3.0, 2.0, 1.0], [6, 3, 5, 6, 5]), 0),
        (np.repeat([5.0, 4.0, 3.0, 2.0, 1.0], [7, 3, 5, 6, 5]), 7),
        (np.array([0.1, 0.2, 0.9, 0.9]), 0),
        (np.array([0.1, 0.9, 0.9, 0.9]), 3),
    ],
)
def test_a_cap_is_three_values_or_more_that_are_equal_or_close_together(loss: np.ndarray, capped: int) -> None:
    assert capped_share(loss) == pytest.approx(capped / len(loss))


@pytest.mark.parametrize("n", [18, 40, 200])
@pytest.mark.parametrize("law", ["gaussian", "exponential", "uniform", "rounded"])
def test_a_sparse_tail_is_rarely_taken_for_a_cap(law: str, n: int) -> None:
    rng = np.random.default_rng(n)
    draws: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
        "gaussian": lambda size: rng.standard_normal(size),
        "exponential": lambda size: rng.exponential(size=size),
        "uniform": lambda size: rng.random(size),
        "rounded": lambda size: rng.standard_normal(size).round(1),
    }
    told = np.mean([capped_share(loss) > LOST for loss in draws[law]((1000, n))])
    assert told <= 0.05


@pytest.mark.parametrize(("n", "n_capped"), [(18, 3), (40, 4), (200, 20)])
def test_trials_at_a_noisy_chance_level_are_found(n: int, n_capped: int) -> None:
    rng = np.random.default_rng(n)
    found = [
        capped_share(np.concatenate([0.5 * rng.random(n - n_capped), 0.9 + 0.01 * rng.standard_normal(n_capped)]))
        for _ in range(1000)
    ]
    assert np.mean(np.isclose(found, n_capped / n)) >= 0.98


@pytest.mark.parametrize("loss", [np.zeros(0), np.ones(5), np.array([1.0])])
def test_nothing_is_capped_where_nothing_varies(loss: np.ndarray) -> None:
    assert capped_share(loss) == 0.0


def test_the_noise_is_the_least_variance_that_declared_replicates_allow() -> None:
    y = np.array([1.0, 3.0] * 10 + [10.0, 12.0] * 10)
    points = np.repeat(np.arange(20), 2)
    share = replicate_noise(y, points, [0, 1] * 20)
    # each pair's squares sum to 2: 40 over the 97.5 % quantile of χ² with 20 degrees of freedom, which is 34.17
    assert share == pytest.approx(40 / 34.1696 / y.var(), rel=1e-4)


def test_a_few_replicates_say_nothing_of_the_noise() -> None:
    assert replicate_noise(np.array([1.0, 3.0, 10.0, 12.0]), np.array([0, 0, 1, 1]), [0, 1, 0, 1]) is None


@pytest.mark.parametrize(("replicates", "n_duplicates"), [([None] * 4, 2), ([0, 0, 1, 1], 2), ([0, 1, 2, 2], 1)])
def test_repeated_points_without_a_seed_of_their_own_are_counted(
    replicates: list[int | None], n_duplicates: int
) -> None:
    assert replicate_scatter(np.arange(4.0), np.array([0, 0, 1, 1]), replicates)[2] == n_duplicates


def test_one_more_trial_is_asked_for_in_the_singular() -> None:
    evidence = replace(GOOD, n=49)
    assert advice(evidence, judge(evidence)) == (
        "run 1 more quasi-random trial (sampler=qmc, or sampler.explore_fraction=0.9, or Optuna's QMCSampler)",
    )


@pytest.mark.parametrize(
    ("change", "reason", "wanted"),
    [
        ({"failed": 0.1}, "10% of the trials gave no value", "give no value"),
        (
            {"failed": 0.004, "capped": 0.1},
            "10% of the trials lie together at the worst value, as if capped",
            "end at the worst value",
        ),
        (
            {"failed": 0.02, "capped": 0.1},
            "2% of the trials gave no value and 10% lie together at the worst value, as if capped",
            "give no value or end at the worst value",
        ),
    ],
)
def test_what_was_lost_and_the_advice_name_only_what_happened(change: dict[str, Any], reason: str, wanted: str) -> None:
    evidence = replace(GOOD, **change)
    verdict = judge(evidence)
    assert verdict == Verdict("caution", (reason,))
    assert advice(evidence, verdict) == (f"narrow the ranges so that fewer trials {wanted}",)
