from __future__ import annotations

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.analysis.choice import best_of, ranked

UNIT = FloatDistribution(0.0, 1.0)


def trial(number: int, x: float, value: float | None) -> FrozenTrial:
    state = TrialState.COMPLETE if value is not None else TrialState.PRUNED
    made = create_trial(state=state, value=value, params={"x": x}, distributions={"x": UNIT})
    made.number = number
    return made


LUCKY = [trial(0, 0.1, 0.99), trial(1, 0.1, 0.80), trial(2, 0.1, 0.80)]
STEADY = [trial(3, 0.2, 0.90), trial(4, 0.2, 0.91), trial(5, 0.2, 0.92)]


def test_a_cell_is_chosen_by_its_mean_and_not_by_its_luckiest_seed() -> None:
    first, second = ranked([*LUCKY, *STEADY], maximize=True, by_point=True)
    assert (first.trial.number, first.n, second.trial.number) == (3, 3, 0)
    assert first.value == pytest.approx(0.91)
    assert second.value == pytest.approx(0.8633, abs=1e-4)


def test_the_means_interval_is_students() -> None:
    """Three values .90, .91, .92: sd .01, t(.975; 2) = 4.3027, so ± 4.3027 · .01 / √3."""
    (steady,) = ranked(STEADY, maximize=True, by_point=True)
    assert steady.estimate.half_width == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)


def test_the_smallest_mean_is_best_where_the_metric_is_minimised() -> None:
    assert ranked([*LUCKY, *STEADY], maximize=False, by_point=True)[0].trial.number == 0


def test_a_cell_that_lacks_a_seed_comes_after_those_that_have_all() -> None:
    incomplete = [trial(6, 0.3, 0.99), trial(7, 0.3, 0.99), trial(8, 0.3, None)]
    assert [c.n for c in ranked([*incomplete, *STEADY], maximize=True, by_point=True)] == [3, 2]


def test_in_a_search_each_trial_stands_for_itself() -> None:
    first, *_ = ranked([*LUCKY, *STEADY], maximize=True, by_point=False)
    assert (first.trial.number, first.value, first.n, first.estimate.half_width) == (0, 0.99, 1, None)


def test_nothing_completed_is_nothing_to_choose() -> None:
    assert ranked([trial(0, 0.1, None)], maximize=True, by_point=True) == []


def of_two(number: int, x: float, *values: float) -> FrozenTrial:
    made = create_trial(values=values, params={"x": x}, distributions={"x": UNIT})
    made.number = number
    return made


@pytest.mark.parametrize(("then_maximize", "order"), [(False, [3, 1, 2, 0]), (True, [1, 2, 3, 0])])
def test_of_equals_in_the_first_objective_the_better_second_one_comes_first(
    then_maximize: bool, order: list[int]
) -> None:
    """Trials 1 and 2 are equal in both, so the earlier one comes first."""
    trials = [of_two(0, 0.1, 0.9, 0.1), of_two(1, 0.2, 0.98, 1.0), of_two(2, 0.3, 0.98, 1.0), of_two(3, 0.4, 0.98, 0.2)]
    found = ranked(trials, maximize=True, by_point=False, then_maximize=then_maximize)
    assert [choice.trial.number for choice in found] == order
    assert [choice.value for choice in found] == [0.98, 0.98, 0.98, 0.9]
    best = best_of(trials, maximize=True, then_maximize=then_maximize)
    assert best is not None
    assert (best.number, best.value) == (order[0], 0.98)


def test_of_cells_with_equal_means_the_better_second_mean_comes_first() -> None:
    slow = [of_two(0, 0.1, 0.5, 3.0), of_two(1, 0.1, 0.75, 3.0)]
    fast = [of_two(2, 0.2, 0.75, 1.0), of_two(3, 0.2, 0.5, 4.0)]
    found = ranked([*slow, *fast], maximize=False, by_point=True, then_maximize=False)
    assert [(choice.trial.number, choice.value, choice.n) for choice in found] == [(2, 0.625, 2), (0, 0.625, 2)]


def test_a_cell_counts_its_pruned_trainings_and_not_those_that_failed() -> None:
    diverged = trial(8, 0.1, None)
    diverged.user_attrs = {schema.FAILURE: "diverged"}
    found = ranked([*LUCKY, *STEADY, trial(6, 0.1, None), trial(7, 0.3, None), diverged], maximize=True, by_point=True)
    assert [(choice.trial.number, choice.n_pruned) for choice in found] == [(3, 0), (0, 1)]
