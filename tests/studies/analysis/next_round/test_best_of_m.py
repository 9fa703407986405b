"""The expected best of m, against what is known of uniform values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.next_round.best_of_m import BestOfM, best_of_m, expected_best, greatest_gain, is_enough
from studies.analysis.table import trials_table

UNIT = optuna.distributions.FloatDistribution(0.0, 1.0)


def study_of(values: list[float], *, source: str = "random", maximize: bool = True) -> optuna.Study:
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for i, value in enumerate(values):
        params, attributes = {"x": i / len(values)}, {schema.SOURCE: source}
        study.add_trial(create_trial(value=value, params=params, distributions={"x": UNIT}, user_attrs=attributes))
    return study


def curve(study: optuna.Study) -> BestOfM:
    found = best_of_m(trials_table(study), study.trials, seed=0)
    assert found is not None
    return found


def test_it_is_the_mean_over_all_subsets() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.5, 9.0])
    found = expected_best(values, range(1, 6))
    for m in range(1, 6):
        assert found[m - 1] == pytest.approx(np.mean([min(subset) for subset in combinations(values, m)]))


def test_it_is_unbiased_for_uniform_values_where_drawing_with_replacement_is_not() -> None:
    values = np.random.default_rng(0).uniform(size=(4000, 20))
    sizes = [1, 2, 5, 10, 20]
    expected = [1 / (m + 1) for m in sizes]
    assert expected_best(values, sizes).mean(axis=0) == pytest.approx(expected, abs=0.004)
    ranks = np.arange(20, -1, -1) / 20
    plug_in = np.sort(values, axis=1) @ (ranks[:-1] ** 20 - ranks[1:] ** 20)
    assert plug_in.mean() > 1 / 21 + 0.02


def test_the_gain_of_as_many_again_is_that_of_uniform_values() -> None:
    found = [curve(study_of(np.random.default_rng(seed).uniform(size=40).tolist())) for seed in range(40)]
    true = 80 / 81 - 40 / 41
    assert np.mean([c.gain.value for c in found]) == pytest.approx(true, abs=0.01)
    assert np.mean([c.gain.lo <= true <= c.gain.hi for c in found]) >= 0.9


@pytest.mark.parametrize("n", [20, 60, 200])
@pytest.mark.parametrize("law", ["gaussian", "exponential", "uniform", "rounded"])
def test_the_greatest_gain_covers_the_true_one_of_values_with_and_without_a_bound(law: str, n: int) -> None:
    """In 97.5 % of samples: exactly of exponential values, and more often of those that thin out faster."""
    rng = np.random.default_rng(n)
    laws: dict[str, Callable[[tuple[int, int]], Array]] = {
        "gaussian": rng.standard_normal,
        "exponential": lambda size: -rng.exponential(size=size),
        "uniform": lambda size: rng.uniform(size=size),
        "rounded": lambda size: -rng.beta(20, 2, size=size).round(2),
    }
    draw = laws[law]
    many = draw((20000, 2 * n))
    true = float((many[:, :n].min(axis=1) - many.min(axis=1)).mean())
    covered = np.mean([greatest_gain(values) >= true for values in draw((1000, n))])
    assert covered >= 0.96
    assert law != "exponential" or covered <= 0.99


def test_the_greatest_gain_is_that_of_an_exponential_tail() -> None:
    """Ten of forty values at 0 to 9, the next at 10: 5.5 before it on average, log 2 · 5.5 · 20 / 9.591."""
    values = np.array([*range(10), 10.0, *range(30, 59)])
    assert greatest_gain(values) == pytest.approx(np.log(2) * 5.5 * 20 / 9.5908, rel=1e-4)
    assert greatest_gain(np.full(40, 0.9)) == 0
    assert greatest_gain(np.array([0.0] * 15 + [1.0] * 25)) == pytest.approx(np.log(2) * 0.5 * 20 / 9.5908, rel=1e-4)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_curve_ends_at_the_best_and_begins_at_the_mean_within_its_band(maximize: bool) -> None:
    values = np.random.default_rng(1).uniform(size=30)
    found = curve(study_of(values.tolist(), maximize=maximize))
    assert (found.sizes[0], found.n) == (1, 30)
    assert found.expected[0] == pytest.approx(values.mean())
    assert found.expected[-1] == pytest.approx(values.max() if maximize else values.min())
    assert ((found.lo <= found.expected) & (found.expected <= found.hi)).all()
    assert found.gain.value >= 0


def test_of_a_sampler_that_learns_only_the_space_filling_trials_are_taken() -> None:
    study = study_of([i / 20 for i in range(20)])
    for _ in range(20):
        study.add_trial(
            create_trial(value=5.0, params={"x": 0.5}, distributions={"x": UNIT}, user_attrs={schema.SOURCE: "tpe"})
        )
    found = curve(study)
    assert (found.basis, found.n, found.expected[-1]) == ("space-filling", 20, pytest.approx(0.95))
    assert curve(study_of([1.0, 2.0] * 10, source="tpe")).basis == "sequential"


def test_what_diverged_counts_as_the_worst_and_what_was_imported_does_not_count() -> None:
    study = study_of([i / 20 for i in range(20)])
    lost = {schema.SOURCE: "random", schema.FAILURE: "diverged"}
    study.add_trial(
        create_trial(state=TrialState.PRUNED, params={"x": 0.5}, distributions={"x": UNIT}, user_attrs=lost)
    )
    origin = {schema.SOURCE: "random", schema.IMPORTED_FROM: {"study": "other", "trial": 1}}
    study.add_trial(create_trial(value=9.0, params={"x": 0.5}, distributions={"x": UNIT}, user_attrs=origin))
    found = curve(study)
    assert (found.n, found.n_lost) == (21, 1)
    assert found.expected[0] == pytest.approx(sum(i / 20 for i in range(20)) / 21)
    assert found.expected[-1] == pytest.approx(0.95)


def test_too_few_trials_have_no_curve() -> None:
    study = study_of([0.1] * 7)
    assert best_of_m(trials_table(study), study.trials, seed=0) is None


@pytest.mark.parametrize("source", ["grid", None])
def test_seeds_of_the_points_of_a_grid_are_no_trials_to_draw_from(source: str | None) -> None:
    """Nine points under six seeds, proposed as a grid, or of a foreign storage and filling one."""
    study = optuna.create_study(direction="maximize")
    for i in range(54):
        params, attributes = {"x": i % 3 / 2, "z": i % 9 // 3 / 2}, {schema.SOURCE: source} if source else {}
        drawn = create_trial(value=i / 54, params=params, distributions={"x": UNIT, "z": UNIT}, user_attrs=attributes)
        study.add_trial(drawn)
    table = trials_table(study)
    assert best_of_m(table, study.trials, seed=0) is None
    assert best_of_m(replace(table, is_grid=False), study.trials, seed=0) is not None


def test_a_pruned_trial_counts_with_its_predicted_value_and_is_counted() -> None:
    study = optuna.create_study(direction="maximize")
    for i in range(12):
        rungs = {1: 0.1 + i / 100, 2: 0.3 + i / 100, 3: 0.5 + i / 100}
        is_pruned = i in (4, 7)
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
                value=None if is_pruned else rungs[3],
                params={"x": i / 12},
                distributions={"x": UNIT},
                user_attrs={schema.SOURCE: "random"},
                intermediate_values={step: rungs[step] for step in (1, 2) if is_pruned} or rungs,
            )
        )
    found = curve(study)
    assert (found.n, found.n_predicted, found.n_lost, found.policy) == (12, 2, 0, "final")
    assert curve(study_of([i / 8 for i in range(8)])).n_predicted == 0


def test_enough_is_what_surely_brings_less_than_the_tolerance() -> None:
    found = curve(study_of(np.random.default_rng(0).uniform(size=40).tolist()))
    assert is_enough(found, 10 * found.gain.hi)
    assert is_enough(found, found.gain.value) is None


@pytest.mark.parametrize(
    ("gain", "answer"),
    [
        (Estimate(0.005, 0.0, 0.008), True),
        (Estimate(0.005, 0.0, 0.02), None),
        (Estimate(0.02, 0.005, 0.03), None),
        (Estimate(0.02, 0.015, 0.03), False),
    ],
)
def test_the_whole_interval_of_the_gain_says_whether_it_was_enough(gain: Estimate, answer: bool | None) -> None:
    assert is_enough(replace(curve(study_of([i / 8 for i in range(8)])), gain=gain), 0.01) is answer


def test_the_band_of_what_is_maximised_is_that_of_its_loss_with_the_other_sign() -> None:
    values = np.random.default_rng(2).uniform(size=30)
    up, down = curve(study_of(values.tolist())), curve(study_of((-values).tolist(), maximize=False))
    assert up.lo == pytest.approx(-down.hi)
    assert up.hi == pytest.approx(-down.lo)
    assert up.gain.value == pytest.approx(down.gain.value)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gain_ends_at_the_greatest_of_the_loss(sign: int) -> None:
    loss = np.random.default_rng(3).standard_normal(40)
    found = curve(study_of((-sign * loss).tolist(), maximize=sign > 0))
    assert found.gain.hi == pytest.approx(greatest_gain(loss))
    assert found.gain.hi > found.gain.value
