"""Studies of modules that log nothing, by the loss of their training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console
from trainings import TRAINER, run

from studies import schema
from studies.cli.reports import report_study
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.job import Job
from studies.trial.preflight.preflight import preflight
from studies.trial.rungs.rungs import MetricMissing

MakeSettings = Callable[..., StudySettings]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*"),
    pytest.mark.usefixtures("user_modules"),
]
BY_LOSS = ("objective.metric=training_loss", "objective.direction=minimize")
SILENT = "model={_target_: user_modules.Silent}"


def silent(plain: MakeSettings, *overrides: str) -> StudySettings:
    return plain("model._target_=user_modules.Silent", *BY_LOSS, *overrides)


def values(folder: Path, budget: Budget, *, model: dict[str, Any] | None = None, **trainer: Any) -> list[float]:
    """The rungs of a module whose loss in batch i is i, of 4 batches an epoch."""
    config = {"model": {"_target_": "user_modules.Counting", **(model or {})}, "trainer": {**TRAINER, **trainer}}
    run = Job(config, "training_loss", budget, 0, folder).build()
    return [rung.value for rung in run.fit().rungs]


def test_a_rung_has_the_mean_loss_since_the_rung_before(tmp_path: Path) -> None:
    assert values(tmp_path, Budget("epochs", 2, 2)) == [1.5, 5.5]
    assert values(tmp_path, Budget("steps", 6, 3)) == [0.5, 2.5, 4.5]


def test_batches_that_make_a_step_together_count_as_the_module_returned_their_losses(tmp_path: Path) -> None:
    assert values(tmp_path, Budget("epochs", 2, 2), accumulate_grad_batches=2) == [1.5, 5.5]
    assert values(tmp_path, Budget("epochs", 1, 1), model={"by_hand": True}) == [1.5]


def test_a_module_that_returns_no_loss_is_told(tmp_path: Path) -> None:
    with pytest.raises(MetricMissing, match="training_step returned no loss"):
        values(tmp_path, Budget("epochs", 1, 1), model={"by_hand": True, "returns": False})


def test_a_metric_that_the_module_logs_by_that_name_is_the_modules_own(tmp_path: Path) -> None:
    assert values(tmp_path, Budget("epochs", 1, 1), model={"logs": 7.0}) == [7.0]


def test_a_module_that_logs_nothing_is_studied(plain: MakeSettings, tmp_path: Path) -> None:
    settings = silent(plain, "n_trials=3", "pruner=median", "budget.amount=3")
    assert preflight(settings) == []
    trials = run(settings)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert trials[0].value == trials[0].intermediate_values[3]


def test_the_report_says_what_a_training_loss_does_not_say(plain: MakeSettings) -> None:
    settings = silent(plain, "n_trials=1", "analysis=none", "budget.amount=1")
    run(settings)
    study = open_study(settings, open_storage(settings.storage.address))
    report_study(study, settings, console=Console(quiet=True))
    assert "it says nothing about new data" in (settings.output_dir / "report.md").read_text()


def test_a_repeated_trial_goes_on_with_the_mean_of_its_rung(plain: MakeSettings, tmp_path: Path) -> None:
    """The state in the middle of a rung has the losses that belong to it."""
    folder = tmp_path / "kept"
    config = {"model": {"_target_": "user_modules.Counting"}, "trainer": TRAINER}
    run = Job(config, "training_loss", Budget("epochs", 1, 1), 0, folder).build()
    run.fit()
    state = {**run.rungs.state_dict(), "losses": [3.0, 2]}
    run.rungs.load_state_dict(state)
    assert run.rungs.state_dict()["losses"] == [3.0, 2]
    run.rungs.load_state_dict({key: value for key, value in state.items() if key != "losses"})  # of an older version
    assert run.rungs.state_dict()["losses"] == [0.0, 0]


def test_the_training_loss_is_not_maximised(plain: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"objective\.direction is maximize, .* set it to minimize"):
        plain("objective.metric=training_loss", "objective.direction=maximize")
    second = "objective.second={metric: training_loss, direction: maximize}"
    with pytest.raises(BadInput, match=r"objective\.second\.direction is maximize"):
        plain(second)


def test_a_module_without_validation_is_told_of_the_training_loss(plain: MakeSettings) -> None:
    (problem,) = preflight(plain("model._target_=user_modules.Silent"))
    assert problem.key == "objective.metric"
    assert "objective.metric=training_loss with objective.direction=minimize" in problem.remedy
    (problem,) = preflight(plain("objective.metric=no_such", "objective.direction=minimize"))
    assert "training_loss" not in problem.remedy


@pytest.mark.slow
def test_ranks_agree_on_the_mean_of_their_losses(plain: MakeSettings) -> None:
    settings = silent(plain, "n_trials=1", "budget.amount=1", "launcher.devices_per_trial=2")
    (trial,) = run(settings)
    assert trial.state == TrialState.COMPLETE
    assert schema.FAILURE not in trial.user_attrs
