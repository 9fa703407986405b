"""A study of a procedure: everything that a study of trainings has, without a Trainer."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from shell import USERS, Shell
from trainings import StopsAfter, run

from studies import schema
from studies.config.settings import StudySettings
from studies.reporting.sections.endings import trials_csv
from studies.schema import Failure
from studies.search.seeds import replicate_of, training_seed
from studies.storage.slots import rules_of
from studies.trial.point_config import PointConfig
from studies.trial.preflight.dry_run import dry_run_briefly
from studies.trial.preflight.first_rung import whole_s
from studies.trial.preflight.preflight import preflight
from studies.trial.procedures.procedure import is_procedure
from studies.trial.procedures.running import ProcedureResult
from studies.trial.rungs.rungs import Rung

MakeSettings = Callable[..., StudySettings]
BOWL = ("--config-dir", str(USERS / "conf"), "+study=bowl")


@pytest.fixture
def bowl(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", *overrides, study="bowl")


def test_its_trials_have_their_rungs_their_value_and_their_result(bowl: MakeSettings, tmp_path: Path) -> None:
    settings = bowl()
    trials = run(settings)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    for slot, trial in enumerate(trials):
        bottom = (trial.params["x"] - 2) ** 2
        assert list(trial.intermediate_values.values()) == pytest.approx([bottom + 0.5, bottom + 0.25, bottom + 0.125])
        assert trial.value == pytest.approx(bottom + 0.125)
        result = trial.user_attrs[schema.RESULT]
        seed = training_seed(settings.seed, replicate_of(settings, slot))
        assert result["seed"] == trial.user_attrs[schema.SEED] == seed
        assert result["x"] == trial.params["x"]
        assert trial.user_attrs[schema.SECONDS] >= 0
        assert len(trial.user_attrs[schema.RUNG_SECONDS]) == 3
        assert schema.STEPS not in trial.user_attrs
    (tmp_path / "trials.csv").write_text(trials_csv(trials), newline="")
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["result_x"]) for row in rows] == [trial.params["x"] for trial in trials]
    assert "result_draws" not in rows[0]


def test_a_seed_decides_all_its_random_numbers(bowl: MakeSettings) -> None:
    grid = ("sampler=grid", "n_trials=null", "replicates=2", "search_space.x.levels=[1.0]")
    first, second = run(bowl(*grid))
    other, _ = run(bowl(*grid, "study_name=again"))
    draws = [trial.user_attrs[schema.RESULT]["draws"] for trial in (first, second, other)]
    assert draws[0] == draws[2]
    assert draws[0] != draws[1]


def test_a_pruner_stops_it(bowl: MakeSettings) -> None:
    trials = run(bowl("pruner=median", "pruner.n_startup_trials=1", "pruner.n_warmup_steps=0", "n_trials=12"))
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        assert trial.user_attrs[schema.RESULT] == {"stopped_at": len(trial.intermediate_values)}


def test_a_value_that_is_not_finite_has_diverged(bowl: MakeSettings) -> None:
    (trial,) = run(bowl("n_trials=1", "+model.behaviour=diverge"))
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs[schema.FAILURE] == Failure.DIVERGED
    assert list(trial.intermediate_values) == [1]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("raise", "RuntimeError: no bottom"),
        ("skip", "ValueError: rung 3 is reported after rung 1: report 1, 2, … 3"),
        ("object", "ValueError: run returned what JSON cannot hold"),
        ("not_a_number", "ValueError: run returned what JSON cannot hold"),
        ("long", "ValueError: run returned 70,012 characters of JSON, above 60,000: write them to a file"),
        ("text", "ValueError: run returned a str: return a mapping"),
        ("silent", "the procedure returned before it reported a rung"),
    ],
)
def test_one_that_fails_is_a_failed_trial(bowl: MakeSettings, behaviour: str, message: str) -> None:
    (trial,) = run(
        bowl(
            "n_trials=1",
            "max_retries=0",
            "sampler=grid",
            "n_trials=null",
            "search_space.x.levels=[1.0]",
            f"+model.behaviour={behaviour}",
        )
    )
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[schema.FAILURE] == Failure.ERROR
    assert trial.user_attrs[schema.FAILURE_MESSAGE].startswith(message)


def test_one_that_failed_is_tried_again_at_the_same_point(bowl: MakeSettings, tmp_path: Path) -> None:
    trials = run(bowl("n_trials=3", "+model.behaviour=raise", f"+model.marker={tmp_path}/tries", "+model.times=1"))
    failed, *others = trials
    assert [trial.state for trial in others] == [TrialState.COMPLETE] * 3
    (retry,) = (trial for trial in others if schema.RETRY_OF in trial.user_attrs)
    assert retry.params == failed.params


@pytest.mark.timeout(60)
def test_one_that_is_interrupted_is_freed_and_not_blamed(bowl: MakeSettings) -> None:
    settings = bowl("n_trials=2", "+model.sleep_s=30")
    trials = run(settings, signals=StopsAfter(100))  # a worker asks some times before its first trial sleeps
    assert trials[0].user_attrs[schema.FAILURE] == Failure.KILLED
    assert not rules_of(settings).are_all_finished(trials)


def test_one_that_takes_too_long_ends_as_pruned(bowl: MakeSettings) -> None:
    (trial,) = run(bowl("n_trials=1", "+model.sleep_s=0.2", "max_trial_s=0.1"))
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs[schema.FAILURE_MESSAGE] == "max_trial_s reached after 1 rungs"


def test_what_does_nothing_for_it_is_told_before_the_study(bowl: MakeSettings) -> None:
    settings = bowl("+callbacks=early_stopping", "+loggers=csv", "objective.test=true", "datamodule=digits")
    found = {problem.key: str(problem) for problem in preflight(settings)}
    assert set(found) == {"callbacks", "loggers", "objective.test", "datamodule"}
    assert "does nothing for user_procedures.Bowl, which is a procedure" in found["datamodule"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("refuse", "model cannot be built at x=4 (ValueError: x is 4.0)"),
        ("silent", "before it has reported a value"),
    ],
)
def test_one_that_cannot_work_is_told_before_the_study(bowl: MakeSettings, behaviour: str, message: str) -> None:
    (problem,) = preflight(bowl(f"+model.behaviour={behaviour}", "+model.above=1.0"))
    assert message in str(problem)


def test_check_runs_a_first_rung_and_estimates_the_whole(bowl: MakeSettings) -> None:
    assert preflight(bowl()) == []
    seen = dry_run_briefly(PointConfig(bowl(), {"x": 1.0}))
    assert seen.problem is None
    assert seen.seconds is not None
    first = Rung(1, 0.5, 0, seconds=2.0)
    assert (
        whole_s(ProcedureResult((first,), stopped=True, diverged=None, out_of_time=False, seconds=2.5), n_rungs=3)
        == 6.0
    )
    assert whole_s(ProcedureResult((), stopped=False, diverged="nan", out_of_time=False, seconds=2.5), n_rungs=3) == 7.5


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("user_procedures.Bowl", True),
        ("user_procedures.NoProcedure", False),
        ("user_modules.Plain", False),
        ("lightning_modules.Classifier", False),
        ("subprocess.run", False),
        ("no.such.thing", False),
    ],
)
def test_a_class_with_run_that_is_no_module_is_a_procedure(bowl: MakeSettings, target: str, expected: bool) -> None:
    bowl()
    assert is_procedure({"model": {"_target_": target}}) is expected


@pytest.mark.slow
def test_as_a_person_runs_it_with_workers_that_die(shell: Shell) -> None:
    output = shell.run(
        "run", *BOWL, "workers=2", "n_trials=8", "+model.behaviour=kill", "+model.marker=tries", "+model.times=1"
    )
    assert "8 of 8 trials finished" in output
    trials = shell.trials("bowl")
    assert sum(trial.user_attrs.get(schema.FAILURE) == Failure.KILLED for trial in trials) == 1
    assert "study bowl is finished" in shell.run(
        "run", *BOWL, "n_trials=8", "+model.behaviour=kill", "+model.marker=tries", "+model.times=1"
    )
    refused = shell.run("retrain", "config=outputs/bowl/best.yaml", code=2)
    assert "model._target_ is user_procedures.Bowl, a procedure, which leaves nothing to train and test" in refused


def test_arguments_that_the_default_model_left_are_told_at_once(make_settings: MakeSettings) -> None:
    """What a study gets whose file says `model: {_target_: …}` without `override /model`."""
    mixed = ("model._target_=user_procedures.Bowl", "search_space=empty")
    space = "+search_space.batch_size={path: datamodule.batch_size, type: power_of_two, low: 16, high: 32}"
    (problem,) = preflight(make_settings(*mixed, space))
    assert problem.key == "model"
    assert problem.complaint.startswith("holds network, optimizer, schedule, ")
    assert "take `override /model: null` among the file's defaults, or write it" in problem.remedy
    assert "conf/model/NAME.yaml, and take that by override /model: NAME (docs/procedures.md" in problem.remedy


def test_a_single_wrong_argument_is_told_with_the_nearest(bowl: MakeSettings) -> None:
    (problem,) = preflight(bowl("+model.y_scal=1"))
    assert (problem.key, problem.complaint) == ("model.y_scal", "is not an argument of user_procedures.Bowl")
