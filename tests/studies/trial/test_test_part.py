"""Trials that look at the test part at their end, where the study asks for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.trial import TrialState
from trainings import run

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.trial.preflight.preflight import preflight

MakeSettings = Callable[..., StudySettings]
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


def test_a_complete_trial_is_tested_once_and_a_pruned_one_is_not(make_settings: MakeSettings) -> None:
    settings = make_settings(
        *("launcher=serial", "n_trials=4", "budget.amount=2", "objective.test=true", "analysis=none"),
        *("sampler=random", "pruner=threshold", "pruner.lower=0.3"),
    )
    trials = run(settings)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        tested = trial.user_attrs.get(schema.TEST)
        assert (tested is not None) == (trial.state == TrialState.COMPLETE)
        if tested is not None:
            assert tested["n"] == 270
            assert abs(tested["test/accuracy"] - trial.value) < 0.15
            assert tested["test/accuracy"] * 270 == pytest.approx(round(tested["test/accuracy"] * 270), abs=1e-3)


def test_without_being_asked_no_trial_is_tested(make_settings: MakeSettings) -> None:
    (trial,) = run(make_settings("launcher=serial", "n_trials=1", "budget.amount=1", "pruner=none"))
    assert schema.TEST not in trial.user_attrs
    (seconds,) = trial.user_attrs[schema.RUNG_SECONDS]
    assert 0 < seconds <= trial.user_attrs[schema.SECONDS]


def test_a_module_without_a_test_part_is_told_before_the_study(make_settings: MakeSettings) -> None:
    (problem,) = preflight(make_settings("launcher=serial", "objective.test=true", study="plain"))
    assert problem.key == "objective.test"


def test_testing_on_several_devices_is_refused(make_settings: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"objective\.test"):
        make_settings("objective.test=true", "launcher.devices_per_trial=2")
