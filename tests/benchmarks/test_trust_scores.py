from __future__ import annotations

import math
from dataclasses import replace

import pytest
from trust_estimators import Found, Training
from trust_scores import (
    Scored,
    coverage,
    difference,
    error,
    false_claims,
    given,
    interval_score,
    rows_of,
    score,
    splits,
    verdicts,
    width,
)
from trust_surfaces import TrueTraining, Truths
from trust_truth import TrueLoss

from studies.analysis.estimate import Estimate
from studies.analysis.verdict import Level

TRUTH = {("a",): 0.5, ("b",): 0.2, ("a", "b"): 0.1, ("a", "c"): 0.0, (): 0.2}
FOUND = Found(
    estimates={
        ("a",): Estimate(0.6, 0.4, 0.7),  # holds
        ("b",): Estimate(0.0, 0.0, 1.0),  # says nothing
        ("b", "a"): Estimate(0.3, 0.15, 0.35),  # misses by .05, written the other way round
        ("a", "c"): Estimate(0.05, 0.02, 0.1),  # claimed though there is none
    },
    level="ok",
    claimed=frozenset({("b", "a"), ("a", "c")}),
)


def scored(found: Found = FOUND, *, seed: int = 0, estimator: str = "ours") -> Scored:
    return Scored("cliff", "random", 60, seed, estimator, found.level, 1.0, rows_of(found, Truths(TRUTH)))


def test_an_interval_pays_for_its_width_and_for_a_miss() -> None:
    assert interval_score(0.1, 0.3, 0.2) == pytest.approx(0.2)
    assert interval_score(0.1, 0.3, 0.35) == pytest.approx(0.2 + 40 * 0.05)
    assert interval_score(0.1, 0.3, 0.0) == pytest.approx(0.2 + 40 * 0.1)


def test_given_intervals_of_effects_are_counted() -> None:
    studies = [scored()]
    assert coverage(studies, "main").value == 1.0
    assert coverage(studies, "pair").value == 0.0
    assert coverage(studies, "main", "pair").value == 0.5
    assert given(studies, "main").value == 0.5
    assert given(studies, "main", "pair").value == pytest.approx(2 / 3)
    assert given(studies, "main", "pair").n == 3  # the pair without an effect is no effect to be found
    assert error(studies, "main").value == pytest.approx((0.1 + 0.2) / 2)
    assert width(studies, "main", "pair").value == pytest.approx((0.3 + 0.2) / 2)
    assert score(studies, "main", "pair").value == pytest.approx((0.3 + 1.0 + 0.2 + 40 * 0.05) / 3)


def test_what_is_not_given_counts_as_0_and_as_no_interval() -> None:
    studies = [scored()]
    assert given(studies, "unexplained").value == 0.0
    assert error(studies, "unexplained").value == 0.2
    assert score(studies, "unexplained").value == 1.0
    assert math.isnan(coverage(studies, "unexplained").value)


def test_nan_is_nothing_known() -> None:
    nothing = scored(Found({("a",): Estimate(math.nan, math.nan, math.nan)}))
    assert error([nothing], "main").value == pytest.approx(0.35)
    assert given([nothing], "main").value == 0.0


def test_a_false_claim_is_counted() -> None:
    assert false_claims([scored()]) == (1, 2, 1)


def test_sums_of_errors_are_those_of_mains_and_pairs() -> None:
    study = scored()
    assert study.error == pytest.approx(0.1 + 0.2 + 0.2 + 0.05)
    assert study.pairs_error == pytest.approx(0.2 + 0.05)
    assert study.mains_error == pytest.approx(abs(1 - 0.5 / 0.7) + 0.2 / 0.7)


def test_verdicts_are_held_against_the_errors() -> None:
    def at(value: float, level: Level) -> Scored:
        exact = {names: Estimate(true) for names, true in TRUTH.items()}
        return scored(Found({**exact, ("a",): Estimate(value)}, level))

    studies = [at(0.5, "ok"), at(0.55, "caution"), at(0.7, "ok"), at(0.9, "ok"), at(1.0, "unreliable")]
    assert verdicts(studies) == [(1, 2), (1, 1), (1, 2)]


def test_the_bootstrap_draws_studies() -> None:
    right, wrong = (Found({("a",): Estimate(0.5, lo, lo + 0.1)}) for lo in (0.45, 0.8))
    alike = [scored(right, seed=seed) for seed in range(10)]
    assert coverage(alike, "main").ends == (1.0, 1.0)
    mixed = coverage([scored(right if seed % 2 else wrong, seed=seed) for seed in range(40)], "main")
    assert mixed.value == 0.5
    assert mixed.ends == pytest.approx((0.35, 0.65), abs=0.05)  # ½ ± 1.96 · ½ / √40


def test_a_difference_is_one_between_the_same_studies() -> None:
    ours = [scored(Found({("a",): Estimate(0.5 + seed / 100)}), seed=seed) for seed in range(8)]
    peer = [scored(Found({("a",): Estimate(0.6 + seed / 100)}), seed=seed, estimator="forest") for seed in range(4)]
    mean, other, apart = difference(ours, peer, lambda study: study.rows[0].error)
    assert (mean, other) == pytest.approx((0.015, 0.115))
    assert (apart.value, *apart.ends) == pytest.approx((-0.1, -0.1, -0.1))
    assert apart.n == 4


def test_losses_are_counted_as_shares_of_the_range_and_effects_on_a_region_by_its_border() -> None:
    found = Found(
        {},
        losses={("a",): Estimate(4.0, 2.0, 6.0)},
        training=Training(0.3, {("b", "a"): Estimate(0.2, 0.1, 0.3)}, {("a",): Estimate(0.9, 0.8, 1.0)}),
    )
    known = {0.3: TrueTraining({("a", "b"): 0.4}, {("a",): 0.85, ("b",): 0.15})}
    rows = rows_of(found, Truths({}, {("a",): TrueLoss(3.0, 2.0), ("b",): TrueLoss(1.0, 2.0)}, known.get))
    assert [(row.kind, row.names, row.true, row.value) for row in rows] == [
        ("loss", ("a",), 1.5, 2.0),
        ("loss", ("b",), 0.5, 0.0),
        ("decides", ("a", "b"), 0.4, 0.2),
        ("trained", ("a",), 0.85, 0.9),
        ("trained", ("b",), 0.15, 0.0),
    ]
    assert (rows[0].lo, rows[0].hi) == (1.0, 3.0)
    study = replace(scored(), rows=rows, splits=True)
    assert study.error == 0
    assert splits([study, scored()]).value == 0.5
