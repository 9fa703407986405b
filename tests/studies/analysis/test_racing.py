from __future__ import annotations

import math

import numpy as np
import pytest
from winner import (
    SEEDS,
    TARGET_COVERAGE,
    TARGET_LOST,
    TARGET_OPTIMISM,
    K,
    kept_though_worse,
    lost_under_ties,
    raced,
    simulate,
)

from studies.analysis.axis import Array
from studies.analysis.racing import (
    Elimination,
    cheapest_of_the_best,
    estimate_of,
    interim_analyses,
    run_race,
    surely_positive,
)

N_SIMULATIONS = 200


def race_of(
    *rows: list[float], analyses: tuple[int, ...] = (4,), n_analyses: int = 1, maximize: bool = True
) -> Elimination:
    failed = [i for i, row in enumerate(rows) if np.isnan(row).any()]
    return run_race(np.array(rows), analyses=analyses, n_analyses=n_analyses, maximize=maximize, failed=failed)


LEADER = [0.95, 0.96, 0.94, 0.95]
NEAR = [0.95, 0.95, 0.95, 0.94]
FAR = [0.80, 0.82, 0.78, 0.81]


def test_the_reported_value_is_not_optimistic_and_its_interval_covers_the_truth() -> None:
    outcomes = [simulate(seed) for seed in range(N_SIMULATIONS)]
    assert 1.4 < np.mean([outcome.argmax for outcome in outcomes]) < 1.9
    assert abs(np.mean([outcome.reported for outcome in outcomes])) <= TARGET_OPTIMISM
    assert np.mean([outcome.covered for outcome in outcomes]) >= TARGET_COVERAGE
    assert np.mean([outcome.gain for outcome in outcomes]) > 0.3


@pytest.mark.parametrize("coarse", [False, True])
def test_the_best_of_ties_is_lost_in_at_most_one_race_of_twenty(coarse: bool) -> None:
    assert np.mean([lost_under_ties(seed, coarse=coarse) for seed in range(200)]) <= TARGET_LOST


def test_what_is_much_worse_leaves() -> None:
    assert np.mean([kept_though_worse(seed, gap=4.0) for seed in range(100)]) <= 0.05


def test_the_best_of_few_seeds_that_are_alike_by_chance_is_not_lost_to_a_coarse_scale() -> None:
    """Three accuracies on 30 samples: a pair's differences are often all the same, or nearly so."""

    def lost(seed: int) -> bool:
        values = np.random.default_rng(seed).binomial(30, 0.9, size=(K, 3)) / 30
        return 0 not in raced(values)[0].survivors

    assert np.mean([lost(seed) for seed in range(200)]) <= TARGET_LOST


def test_the_surely_worse_leave_and_the_others_tie_with_the_leader() -> None:
    elimination = race_of(NEAR, LEADER, FAR)
    assert elimination.leader == 1
    assert elimination.survivors == (1, 0)
    assert [standing.left for standing in elimination.standings] == [None, None, "worse"]
    assert elimination.standings[2].gap == pytest.approx(0.1475)
    assert elimination.standings[2].mean == pytest.approx(0.8025)


def test_of_a_loss_the_smallest_leads() -> None:
    elimination = race_of([-x for x in NEAR], [-x for x in LEADER], [-x for x in FAR], maximize=False)
    assert (elimination.leader, elimination.survivors) == (1, (1, 0))
    assert elimination.standings[2].mean == pytest.approx(-0.8025)


def test_a_p_value_is_that_of_the_paired_t_test_times_the_tests_of_the_race() -> None:
    """Differences .1, .2, .15, .15: mean .15, sd .0408, t = 7.348 at 3 degrees of freedom, one-sided p = .00261."""
    a, b = np.array([0.9, 0.9, 0.9, 0.9]), np.array([0.8, 0.7, 0.75, 0.75])
    assert surely_positive(a - b, [float((a - b).std(ddof=1))]) == pytest.approx(0.00261, abs=1e-5)
    elimination = run_race(np.stack([a, b]), analyses=(4,), n_analyses=3, maximize=True)
    assert elimination.standings[1].p_value == pytest.approx(3 * 0.00261, abs=3e-5)


def test_the_spread_of_all_pairs_has_to_say_the_same() -> None:
    """A pair with a spread of .0001 by chance, where the typical one is .02."""
    alike = np.array([0.0100, 0.0101, 0.0100, 0.0101])
    assert surely_positive(alike, [0.0001]) < 1e-5
    assert surely_positive(alike, [0.02, 0.02, 0.0001]) > 0.1


def test_the_spread_of_all_pairs_has_the_degrees_of_freedom_of_all() -> None:
    """Two pairs over four seeds have 3 each. The mean is 1.2235 standard deviations, so t = 2.4469, which is the upper
    2.5 % point at 6; the pair's own spread, a thousandth of that, is no obstacle."""
    differences = 1.2234559 + 1e-3 * np.array([-1.0, 1.0, -1.0, 1.0])
    assert surely_positive(differences, [1.0, 1.0]) == pytest.approx(0.025, abs=1e-5)


def test_differences_that_are_all_the_same_are_judged_by_their_number() -> None:
    assert surely_positive(np.full(4, 0.01), [0.0]) == 0.5**4
    assert surely_positive(np.full(4, -0.01), [0.0]) == 1.0
    assert surely_positive(np.zeros(4), [0.0]) == 1.0


def test_a_candidate_that_failed_leaves_and_is_never_the_leader() -> None:
    elimination = race_of([0.99, math.nan, 0.99, 0.99], LEADER, NEAR)
    assert (elimination.leader, elimination.survivors) == (1, (1, 2))
    assert (elimination.standings[0].left, elimination.standings[0].n) == ("failed", 3)


def test_whom_a_failed_leader_sent_home_comes_back_and_is_waited_for() -> None:
    noisy = [0.80, 1.00, 0.76, 0.99, 0.70, 0.99]
    values: Array = np.array([[*LEADER, 0.95, 0.96], [*FAR, math.nan, math.nan], noisy])
    before = run_race(values, analyses=(4,), n_analyses=2, maximize=True)
    assert (before.leader, before.standings[1].left, before.standings[2].left) == (0, "worse", None)
    values[0, 5] = math.nan
    after = run_race(values, analyses=(4, 6), n_analyses=2, maximize=True, failed={0})
    assert (after.leader, after.survivors) == (2, (2, 1))
    assert [standing.left for standing in after.standings] == ["failed", None, None]
    assert [standing.n for standing in after.standings] == [5, 4, 4], "all wait for six seeds"
    values[1, 4:] = 0.8
    assert [s.n for s in run_race(values, analyses=(4, 6), n_analyses=2, maximize=True, failed={0}).standings] == [
        5,
        6,
        6,
    ]


def test_where_all_have_failed_there_is_no_leader() -> None:
    elimination = race_of([math.nan] * 4, [0.9, math.nan, 0.9, 0.9])
    assert (elimination.leader, elimination.survivors) == (None, ())


def test_who_has_left_is_not_trained_on_and_keeps_its_standing() -> None:
    later: Array = np.array([[*LEADER, 0.95, 0.96], [*NEAR, 0.94, 0.95], [*FAR, math.nan, math.nan]])
    first = run_race(later, analyses=(4,), n_analyses=2, maximize=True)
    then = run_race(later, analyses=(4, 6), n_analyses=2, maximize=True)
    assert first.standings[2] == then.standings[2]
    assert then.standings[2].left == "worse"
    assert [standing.n for standing in then.standings] == [6, 6, 4]


@pytest.mark.parametrize(
    ("seeds", "analyses"), [(3, (3,)), (4, (3, 4)), (6, (3, 5, 6)), (8, (4, 6, 8)), (20, (10, 15, 20))]
)
def test_the_candidates_are_compared_at_half_three_quarters_and_all_of_the_seeds(
    seeds: int, analyses: tuple[int, ...]
) -> None:
    assert interim_analyses(seeds) == analyses


def test_a_race_saves_the_trainings_of_those_that_left() -> None:
    values = np.random.default_rng(1).standard_normal((K, SEEDS))
    values[0] += 20
    assert raced(values)[1] < K * SEEDS


def test_the_one_standard_error_rule_takes_the_cheapest_of_those_near_the_leader() -> None:
    """The leader's mean is .95, its standard error .00408: .9475 is within, .9425 is a tie but not within."""
    elimination = race_of(LEADER, NEAR, [0.91, 0.97, 0.93, 0.96])
    assert elimination.survivors == (0, 1, 2)
    assert cheapest_of_the_best(elimination, [9.0, 5.0, 1.0], maximize=True) == 1
    assert cheapest_of_the_best(elimination, [9.0, math.nan, 1.0], maximize=True) == 0
    assert cheapest_of_the_best(elimination, [5.0, 5.0, 1.0], maximize=True) == 0, "of equally cheap ones the better"
    assert cheapest_of_the_best(race_of([math.nan] * 4, [math.nan] * 4), [1.0, 1.0], maximize=True) is None


def test_the_one_standard_error_rule_holds_for_a_loss_too() -> None:
    """The mirror of the race above: -.9475 is within one standard error of -.95, -.9425 is not."""
    elimination = race_of(*([-x for x in row] for row in (LEADER, NEAR, [0.91, 0.97, 0.93, 0.96])), maximize=False)
    assert elimination.survivors == (0, 1, 2)
    assert cheapest_of_the_best(elimination, [9.0, 5.0, 1.0], maximize=False) == 1


def test_an_estimate_over_seeds_has_students_interval() -> None:
    """.90, .91, .92: t(.975; 2) = 4.3027, so ± 4.3027 · .01 / √3."""
    found = estimate_of(np.array([0.90, 0.91, 0.92]))
    assert (found.value, found.n) == (pytest.approx(0.91), 3)
    assert found.hi - found.value == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert estimate_of(np.array([0.9])).hi is None


def test_the_interval_of_an_accuracy_covers_seeds_and_samples() -> None:
    """True chances of each sample, seeds with an effect of their own; a test set of 750, eight seeds."""
    rng = np.random.default_rng(5)

    def covered() -> bool:
        chances = rng.beta(8, 0.5, size=750)
        effects = rng.normal(0, 0.005, size=8)
        right = rng.random((8, 750)) < np.clip(chances + effects[:, None], 0, 1)
        found = estimate_of(right.mean(axis=1), n_samples=750)
        return bool(found.lo <= 8 / 8.5 <= found.hi)

    assert np.mean([covered() for _ in range(300)]) >= 0.92


def test_an_interval_over_seeds_and_samples_has_welch_and_satterthwaites_degrees_of_freedom() -> None:
    """.45 and .55 on 100 samples: s²/m = .05² = p(1 - p)/n at p = .5, so the degrees are (2 - 1) · 2² = 4."""
    found = estimate_of(np.array([0.45, 0.55]), n_samples=100)
    assert found.hi - found.value == pytest.approx(2.776445 * 0.005**0.5, rel=1e-5)
    assert found.value - found.lo == pytest.approx(2.776445 * 0.005**0.5, rel=1e-5)


def test_a_perfect_score_has_an_interval_too() -> None:
    found = estimate_of(np.ones(8), n_samples=100)
    assert found.hi == 1.0
    assert 0.9 < found.lo < 0.99
