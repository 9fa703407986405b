"""What a race is between and what its winner is worth, on trials made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from studies import schema
from studies.config.settings import StudySettings
from studies.selection.race import Candidate, Race, estimated, races_of

MakeSettings = Callable[..., StudySettings]
RACE = ("select=race", "select.k=4", "select.seeds=4")
WIDE = {"lr": FloatDistribution(1e-9, 1e9), "batch_size": IntDistribution(1, 10**6)}


def trial_at(point: Mapping[str, Any], value: float, **attributes: Any) -> FrozenTrial:
    """A completed trial, whether or not its point lies in the study's space."""
    return create_trial(
        params=dict(point), distributions={name: WIDE[name] for name in point}, value=value, user_attrs=attributes
    )


def race_of(*costs: tuple[float, ...]) -> Race:
    candidates = tuple(Candidate(trial_at({"lr": 1e-3}, 0.9), 0.9) for _ in costs)
    return Race({}, candidates, np.zeros((len(costs), 3)), costs)


def test_the_cost_of_a_candidate_is_that_of_one_training() -> None:
    """However many seeds it was trained on: 2, 3 and 4 cost 3."""
    race = race_of((2.0, 3.0, 4.0), (3.0,), ())
    assert (race.cost(0), race.cost(1)) == (3.0, 3.0)
    assert math.isnan(race.cost(2))


def found(settings: StudySettings, trials: Sequence[FrozenTrial]) -> list[Race]:
    maximize = settings.objective.maximize
    return races_of(trials, settings.select, settings.space, maximize=maximize, is_designed=settings.is_designed)


def test_a_cell_of_a_design_is_a_candidate_by_the_mean_over_its_seeds(make_settings: MakeSettings) -> None:
    """.9, .3, .3 has the luckiest seed and the mean .5; .8, .7, .6 the mean .7."""
    settings = make_settings(*RACE, study="digits_grid")
    lr = settings.space["lr"].levels or ()
    lucky, good = ({"lr": lr[i], "batch_size": 64} for i in (0, 1))
    trials = [*(trial_at(lucky, v) for v in (0.9, 0.3, 0.3)), *(trial_at(good, v) for v in (0.8, 0.7, 0.6))]
    (race,) = found(settings, trials)
    assert [candidate.trial.params for candidate in race.candidates] == [good, lucky]
    assert [candidate.value for candidate in race.candidates] == pytest.approx([0.7, 0.5])


def test_what_is_no_point_of_the_space_is_no_candidate(make_settings: MakeSettings) -> None:
    """As of a study by another tool: a value that is out of range, one that is missing, and one too many."""
    settings = make_settings(*RACE, "sampler=random", study="plain")
    ours, high, foreign = {"lr": 0.01}, {"lr": 5.0}, {"lr": 0.02, "batch_size": 64}
    trials = [trial_at(ours, 0.5), trial_at(high, 0.1), trial_at({"batch_size": 64}, 0.1), trial_at(foreign, 0.1)]
    (race,) = found(settings, trials)
    assert [candidate.trial.params for candidate in race.candidates] == [ours]
    assert found(settings, trials[1:]) == []


def test_nothing_is_told_of_the_test_part_unless_all_fresh_trainings_were_tested() -> None:
    race = race_of((1.0,))
    tested = [trial_at({"lr": 1e-3}, 0.9, **{schema.TEST: {"test/accuracy": v, "n": 100}}) for v in (0.8, 0.9)]
    whole, mixed = (
        estimated(race, fresh, metric="val/accuracy") for fresh in (tested, [*tested, trial_at({"lr": 1e-3}, 0.9)])
    )
    assert whole.tests["test/accuracy"].estimate.value == pytest.approx(0.85)
    assert mixed.tests == {}
    assert mixed.estimate is not None
    assert mixed.estimate.n == 3


@pytest.mark.parametrize(
    ("counts", "n_samples"), [((100, 100), 100), ((100, 50), None), ((None, 100), None), ((0, 0), None)]
)
def test_samples_count_where_all_tests_were_on_as_many(counts: tuple[int | None, ...], n_samples: int | None) -> None:
    """Where their number is missing or differs, the interval is over the seeds alone."""
    tests = [
        {"test/accuracy": v, **({"n": n} if n is not None else {})} for v, n in zip((0.8, 0.9), counts, strict=True)
    ]
    found = estimated(
        race_of((1.0,)),
        [trial_at({"lr": 1e-3}, 0.9, **{schema.TEST: test}) for test in tests],
        metric="val/accuracy",
    )
    assert found.tests.keys() == {"test/accuracy"}
    assert found.tests["test/accuracy"].n_samples == n_samples


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("val/accuracy", (0.98, 1.0), (0.99 - 0.127062, 1.0)),
        ("val/error_rate", (0.0, 0.02), (0.0, 0.01 + 0.127062)),
        ("val/balanced_accuracy", (0.98, 1.0), (0.99 - 0.127062, 1.0)),
        ("val/accuracy", (98.0, 100.0), (99 - 12.7062, 99 + 12.7062)),  # percentages
        ("val/loss", (0.0, 0.02), (0.01 - 0.127062, 0.01 + 0.127062)),
        ("val/accuracy", (0.98,), (math.nan, math.nan)),  # one seed says nothing
    ],
)
def test_an_interval_ends_at_the_bound_of_its_metric(
    metric: str, values: tuple[float, ...], ends: tuple[float, float]
) -> None:
    """Student's t of one degree of freedom is 12.7062; two values .02 apart have the standard error .01."""
    tests = [trial_at({"lr": 1e-3}, value, **{schema.TEST: {metric: value}}) for value in values]
    found = estimated(race_of((1.0,)), tests, metric=metric)
    for estimate in (found.estimate, found.tests[metric].estimate):
        assert estimate is not None
        assert estimate.ends == pytest.approx(ends, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *[(name, True) for name in ("test/accuracy", "test_acc", "Accuracy", "val/top5_acc", "top_1_accuracy")],
        *[(name, True) for name in ("test/error_rate", "val_error_rate")],
        *[(name, False) for name in ("test/balanced_accuracy", "macro_acc", "test/MulticlassAccuracy", "test/loss")],
        *[(name, False) for name in ("test/error", "test/f1", "accuracy/loss")],
    ],
)
def test_only_what_counts_samples_is_a_share_of_them(name: str, is_one: bool) -> None:
    assert schema.is_share(name) is is_one
