"""Callbacks of a config that belong to neither Lightning package, such as OptimizerSettings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from packages import BY_TARGET, PACKAGES, settings_of
from trainings import run

from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.trial.building.package import package_of
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight

MakeSettings = Callable[..., StudySettings]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*"),
    pytest.mark.usefixtures("user_modules"),
]
RATE = "+search_space.rate={path: callbacks.optimizer.lr, type: float, low: 0.01, high: 0.02, log: true}"


@pytest.mark.slow
def test_a_learning_rate_that_is_written_in_code_is_searched(plain: MakeSettings) -> None:
    settings = plain("~search_space.lr", "+callbacks=optimizer", RATE, "n_trials=2", "budget.amount=1")
    assert preflight(settings) == []
    first, second = run(settings)
    assert first.state == second.state == TrialState.COMPLETE
    assert first.value != second.value
    alike = ("n_trials=1", "budget.amount=1")
    asked = ("~search_space.lr", "+callbacks=optimizer", RATE, "enqueue=[{rate: 0.015}]", "study_name=by_callback")
    by_callback, in_code = plain(*alike, *asked), plain(*alike, "enqueue=[{lr: 0.015}]", "study_name=in_code")
    assert run(by_callback)[0].value == run(in_code)[0].value


def test_an_option_that_the_optimizer_has_not_is_told_before_the_study(plain: MakeSettings) -> None:
    (problem,) = preflight(plain("+callbacks=optimizer", "+callbacks.optimizer.options.rho=0.9"))
    assert "optimizer 0 (SGD) has no option rho: it has dampening, " in str(problem)


@pytest.mark.usefixtures("public_modules")
@pytest.mark.parametrize("package", PACKAGES)
def test_a_plain_class_becomes_a_callback_of_the_modules_package(tmp_path: Path, package: str) -> None:
    settings = settings_of(BY_TARGET["template.TemplateModule"], package, tmp_path)
    callback = {"optimizer": {"_target_": "lightning_modules.OptimizerSettings", "lr": 0.03}}
    config = {**PointConfig(settings, {"lr": 0.5}).resolved(), "callbacks": callback}
    fitted = Job(config, settings.objective.metric, Budget("epochs", 1, 1), 0, tmp_path).build()
    fitted.fit()
    assert [group["lr"] for group in fitted.trainer.optimizers[0].param_groups] == [0.03]
    assert {found.name for c in fitted.trainer.callbacks if (found := package_of(c)) is not None} == {package}
