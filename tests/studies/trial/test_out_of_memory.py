"""Out-of-memory: recorded, its memory given back, and on request tried once more at half the batch."""

from __future__ import annotations

import csv
import gc
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.config.settings import StudySettings
from studies.reporting.sections.endings import trials_csv
from studies.schema import Failure
from studies.selection.chosen import chosen
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.trial.preflight.preflight import preflight

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
HALVE = ("out_of_memory.retry=halve_batch", "out_of_memory.batch_size=model.batch_size")
OOM = "OutOfMemoryError: CUDA out of memory at 20 samples"


@pytest.fixture
def hungry(make_settings: MakeSettings) -> MakeSettings:
    """A study of a module for which batches of 20 are too large, unless overridden, and those of 10 are not."""
    target = ("launcher=serial", "model._target_=user_ranks.Hungry", "model.batch_size=20")
    return lambda *overrides: make_settings(*target, *overrides, study="plain")


@pytest.fixture
def users(hungry: MakeSettings) -> ModuleType:
    hungry()
    import user_ranks

    gc.collect()
    user_ranks.ALIVE_BEFORE.clear()
    user_ranks.ALIVE = weakref.WeakSet()
    return user_ranks


def run(settings: StudySettings, *, repeated: FrozenTrial | None = None) -> tuple[Outcome, FrozenTrial]:
    study = optuna.create_study()
    study.enqueue_trial({"lr": 0.05})
    trial = study.ask()
    outcome = run_trial(trial, settings, seed=3, interrupted=lambda: None, repeated=repeated)
    return outcome, study.trials[0]


def test_it_is_recorded_and_keeps_nothing_alive(hungry: MakeSettings, users: ModuleType) -> None:
    gc.disable()
    try:
        outcome, trial = run(hungry())
    finally:
        gc.enable()
    assert outcome.state == TrialState.PRUNED
    assert outcome.attributes == {schema.FAILURE: Failure.OUT_OF_MEMORY, schema.FAILURE_MESSAGE: OOM}
    assert schema.BATCH_HALVED not in trial.user_attrs
    assert len(users.ALIVE) == 0


def test_it_is_tried_once_more_at_half_the_batch_with_room_for_it(
    hungry: MakeSettings, users: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    gc.disable()
    try:
        outcome, trial = run(hungry(*HALVE))
    finally:
        gc.enable()
    assert outcome.state == TrialState.COMPLETE
    assert users.ALIVE_BEFORE == [0, 0]
    assert trial.user_attrs[schema.BATCH_HALVED] == {"batch_size": 10, "accumulate_grad_batches": 2}
    assert outcome.attributes[schema.STEPS] == 10
    assert outcome.attributes[schema.SAMPLES_SEEN] == [100, 200]
    assert schema.FAILURE not in outcome.attributes
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(f"{OOM}; it trains again at half the batch" in message for message in told)


def test_half_the_batch_twice_a_step_comes_to_the_same(hungry: MakeSettings, users: ModuleType) -> None:
    whole, _ = run(hungry("+model.fits=20"))
    half, _ = run(hungry(*HALVE))
    assert whole.value == pytest.approx(half.value, rel=1e-5)


@pytest.mark.parametrize(("unit", "amount"), [("steps", 8), ("samples", 160)])
def test_budgets_mean_the_same_at_half_the_batch(
    hungry: MakeSettings, users: ModuleType, unit: str, amount: int
) -> None:
    outcome, _ = run(hungry(*HALVE, f"budget.unit={unit}", f"budget.amount={amount}", "budget.rungs=2"))
    assert outcome.attributes[schema.STEPS] == 8
    assert outcome.attributes[schema.SAMPLES_SEEN] == [80, 160]


def test_batches_that_are_accumulated_already_are_doubled(hungry: MakeSettings, users: ModuleType) -> None:
    _, trial = run(hungry(*HALVE, "trainer.accumulate_grad_batches=3"))
    assert trial.user_attrs[schema.BATCH_HALVED] == {"batch_size": 10, "accumulate_grad_batches": 6}


def test_a_second_time_is_a_result_of_the_configuration(hungry: MakeSettings, users: ModuleType) -> None:
    outcome, trial = run(hungry(*HALVE, "+model.fits=5"))
    assert outcome.state == TrialState.PRUNED
    assert outcome.attributes[schema.FAILURE] is Failure.OUT_OF_MEMORY
    assert outcome.attributes[schema.FAILURE_MESSAGE] == OOM.replace("20", "10")
    assert trial.user_attrs[schema.BATCH_HALVED] == {"batch_size": 10, "accumulate_grad_batches": 2}
    assert users.ALIVE_BEFORE == [0, 0]
    assert len(users.ALIVE) == 0


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("model.batch_size=25",), "not tried at half the batch: model.batch_size is odd"),
        (("model.batch_size=1", "+model.always=true"), "not tried at half the batch: model.batch_size is odd"),
        (("+model.by_itself=true",), "not tried at half the batch: MisconfigurationException: Automatic gradient"),
    ],
)
def test_what_cannot_be_halved_is_told_in_the_message(
    hungry: MakeSettings, users: ModuleType, overrides: tuple[str, ...], reason: str
) -> None:
    outcome, _ = run(hungry(*HALVE, *overrides))
    assert outcome.state == TrialState.PRUNED
    assert outcome.attributes[schema.FAILURE] is Failure.OUT_OF_MEMORY
    message = outcome.attributes[schema.FAILURE_MESSAGE]
    assert message.startswith("OutOfMemoryError: CUDA out of memory")
    assert reason in message


def test_rungs_of_the_first_go_stand_and_nobody_is_pruned_by_them_twice(
    hungry: MakeSettings, users: ModuleType
) -> None:
    """Out of memory after the first rung; Optuna would warn of a step that is reported twice."""
    outcome, trial = run(hungry(*HALVE, "model.at=6", "budget.amount=3"))
    assert outcome.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert len(outcome.attributes[schema.SAMPLES_SEEN]) == 3


def test_a_repeated_trial_begins_at_half_the_batch_at_once(hungry: MakeSettings, users: ModuleType) -> None:
    earlier = optuna.trial.create_trial(
        state=TrialState.FAIL,
        user_attrs={schema.BATCH_HALVED: {"batch_size": 10, "accumulate_grad_batches": 2}},
    )
    outcome, trial = run(hungry(*HALVE), repeated=earlier)
    assert outcome.state == TrialState.COMPLETE
    assert trial.user_attrs[schema.BATCH_HALVED] == {"batch_size": 10, "accumulate_grad_batches": 2}
    assert len(users.ALIVE_BEFORE) == 1


def test_all_keys_that_follow_the_batch_size_are_halved(hungry: MakeSettings, users: ModuleType) -> None:
    space = "search_space.batch={paths: [model.batch_size, model.n_samples], type: categorical, choices: [20]}"
    follows = "+model.follower=${model.batch_size}"
    from studies.trial.half_batch import HalfBatch
    from studies.trial.point_config import PointConfig

    settings = hungry(*HALVE, f"+{space}", follows)
    config = PointConfig(settings, {"batch": 20, "lr": 0.1}).resolved(HalfBatch(10, 2))
    assert [config["model"][key] for key in ("batch_size", "n_samples", "follower")] == [10, 10, 10]


def test_the_check_before_a_study_takes_the_second_go_too(hungry: MakeSettings, users: ModuleType) -> None:
    (problem,) = preflight(hungry())
    assert "CUDA out of memory at 20 samples" in problem.complaint
    assert preflight(hungry(*HALVE)) == []


def test_the_halved_batch_is_in_the_table_and_in_the_configuration_to_retrain(
    hungry: MakeSettings, tmp_path: Path
) -> None:
    halved = {"batch_size": 10, "accumulate_grad_batches": 2}
    trial = optuna.trial.create_trial(
        value=0.1,
        params={"lr": 0.1},
        distributions={"lr": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True)},
        user_attrs={schema.BATCH_HALVED: halved, schema.SEED: 3},
    )
    (tmp_path / "trials.csv").write_text(trials_csv([trial]), newline="")
    (row,) = csv.DictReader((tmp_path / "trials.csv").read_text().splitlines())
    assert row[schema.BATCH_HALVED] == "2 × 10"
    config = chosen(hungry(*HALVE), Choice(trial, Estimate(0.1, n=1)))
    assert config["model"]["batch_size"] == 10
    assert config["trainer"]["accumulate_grad_batches"] == 2
