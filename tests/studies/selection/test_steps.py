"""Which of several races has the best winner, on values made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.analysis.racing import run_race
from studies.selection.race import Candidate, Race, estimated
from studies.selection.steps import compared

SEEDS = [0.9, 0.92, 0.91, 0.89, 0.6, 0.62, 0.61, 0.59]  # what the seeds give: the last four are harder
FRESH = [0.8, 0.75, 0.85, 0.7, 0.9]


def trial_of(value: float | None) -> FrozenTrial:
    state = TrialState.COMPLETE if value is not None else TrialState.FAIL
    return create_trial(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, value=value, state=state)


def race_of(name: str, raced: Sequence[float], fresh: Sequence[float | None], *, maximize: bool = True) -> Race:
    """A race of one candidate on the seeds it has, eight at most, and its fresh trainings."""
    values = np.array([[*raced, *[math.nan] * (8 - len(raced))]])
    elimination = run_race(values, analyses=(4, 8), n_analyses=2, maximize=maximize)
    race = Race({"x": name}, (Candidate(trial_of(0.9), 0.9),), values, ((),), elimination=elimination, winner=0)
    return estimated(race, [trial_of(value) for value in fresh], metric="accuracy")


def plus(values: Sequence[float], better: float, *, noise: float = 0.002) -> list[float]:
    return [value + better + noise * (-1) ** i for i, value in enumerate(values)]


@pytest.mark.parametrize("maximize", [True, False])
def test_a_race_that_ended_before_the_hard_seeds_is_compared_on_those_it_had(maximize: bool) -> None:
    """Its winner's mean .905 over four seeds is above the other's .776 over eight, though it is worse on each."""
    sign = 1 if maximize else -1
    short = race_of("short", [sign * v for v in SEEDS[:4]], FRESH, maximize=maximize)
    long = race_of("long", [sign * v for v in plus(SEEDS, 0.02)], FRESH, maximize=maximize)
    found = compared([short, long], maximize=maximize)
    assert found.best is long
    assert (found.n_seeds, found.n_others) == (4, 1)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_fresh_seeds_alone_show_that_the_best_is_better(maximize: bool) -> None:
    """The same .03 apart in the race; on fresh seeds one is .03 ± .002 behind, and the other now behind, now ahead."""
    sign = 1 if maximize else -1
    best = race_of("best", [sign * v for v in SEEDS[:4]], [sign * v for v in FRESH], maximize=maximize)
    behind = [sign * v for v in plus(SEEDS[:4], -0.03)]
    worse = race_of("worse", behind, [sign * v for v in plus(FRESH, -0.03)], maximize=maximize)
    alike = race_of("alike", behind, [sign * v for v in plus(FRESH, 0, noise=0.03)], maximize=maximize)
    found = compared([worse, best, alike], maximize=maximize)
    assert (found.best, found.rivals) == (best, (alike,))


def test_a_fresh_seed_without_a_value_is_left_out_of_its_pairs_and_a_single_pair_shows_nothing() -> None:
    best = race_of("best", SEEDS[:4], FRESH)
    gaps = race_of("gaps", plus(SEEDS[:4], -0.03), [None, *plus(FRESH, -0.03)[1:]])
    single = race_of("single", plus(SEEDS[:4], -0.03), [None, None, None, None, 0.1])
    assert compared([best, gaps, single], maximize=True).rivals == (single,)


@pytest.mark.parametrize("maximize", [True, False])
def test_of_means_that_differ_by_rounding_the_first_is_taken(maximize: bool) -> None:
    """0.97666669 against 0.97666667 is what float32 makes of one value; the third is behind by 1e-6."""
    sign = 1 if maximize else -1
    values = [[0.97666667] * 4, [0.97666669] * 4, [0.97666569] * 4]
    first, second, third = (race_of(str(i), [sign * x for x in v], FRESH) for i, v in enumerate(values))
    found = compared([first, second, third], maximize=maximize)
    assert (found.best, found.equals) == (first, (second,))
    assert compared([second, first], maximize=maximize).equals == (first,)
    assert compared([third, first], maximize=maximize).best is first
    assert compared([third, first], maximize=maximize).equals == ()


def test_a_race_without_an_estimate_is_not_compared() -> None:
    lost = race_of("lost", plus(SEEDS, 0.1), [None] * 5)
    good = race_of("good", SEEDS[:4], FRESH)
    found = compared([lost, good], maximize=True)
    assert (found.best, found.n_others, found.rivals) == (good, 0, ())
    assert compared([lost], maximize=True).best is None
