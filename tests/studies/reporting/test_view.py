"""What a report reads of a study, from the config and from the storage alone."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from reports import view_of_trials

from studies import schema
from studies.analysis.tuning.tolerance import GIVEN, OF_A_SHARE, OF_THE_TRIALS
from studies.cli.reports import view_of_stored
from studies.config.settings import AnalysisSettings, StudySettings

MakeSettings = Callable[..., StudySettings]
X = {"lr": FloatDistribution(0.0, 1.0)}
TRIALS = [create_trial(value=0.2 + i / 50, params={"lr": i / 8}, distributions=X) for i in range(8)]
LOSS = ("objective={metric: val/loss, direction: minimize}",)


@pytest.mark.parametrize(
    ("overrides", "origin", "value"),
    [
        ((), OF_A_SHARE, 0.01),
        (LOSS, OF_THE_TRIALS, 0.1 * 3.5 / 50),
        ((*LOSS, "objective.tolerance=0.05"), GIVEN, 0.05),
        (("objective.tolerance=0.05",), GIVEN, 0.05),
    ],
)
def test_what_does_not_matter_is_the_configs_or_else_that_of_the_metric(
    overrides: tuple[str, ...], origin: str, value: float, make_settings: MakeSettings
) -> None:
    view = view_of_trials(make_settings(*overrides), TRIALS)
    for found in (view.analysis.tolerance, view.next_round.tolerance):
        assert (found.origin, found.value) == (origin, pytest.approx(value))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # of metric names
@pytest.mark.parametrize(("metric", "origin"), [("accuracy", OF_A_SHARE), ("loss", OF_THE_TRIALS)])
def test_without_the_config_the_same_rule_holds(metric: str, origin: str) -> None:
    study = optuna.create_study()
    study.set_metric_names([metric])
    study.add_trials(TRIALS)
    assert (
        view_of_stored(study, AnalysisSettings("full", None, "auto", None), seed=0).analysis.tolerance.origin == origin
    )


@pytest.mark.parametrize(("overrides", "is_cut"), [((), True), (LOSS, False)])
def test_the_interval_of_a_mean_accuracy_ends_at_one(
    overrides: tuple[str, ...], is_cut: bool, make_settings: MakeSettings
) -> None:
    pair = [
        create_trial(
            value=value, params={"lr": 0.5}, distributions=X, user_attrs={schema.SEED: seed, schema.SLOT: seed}
        )
        for seed, value in enumerate((0.99, 0.95))
    ]
    view = view_of_trials(make_settings(*overrides, "n_trials=null", study="digits_grid"), pair)
    assert view.best is not None
    lo, hi = view.best.estimate.ends
    assert lo < 0.97 < hi
    assert hi == 1 if is_cut else hi > 1
