"""Before a study the training of a trial is tried: what works in a trial passes, and what fails in one is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studies.config.settings import StudySettings
from studies.errors import Problem
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.dry_run import THOROUGH, DryRun, dry_run, dry_run_briefly, estimate_time
from studies.trial.preflight.preflight import Preflight, preflight
from studies.trial.run import Run
from studies.trial.rungs.batch_limit import BatchLimit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
STEPS = ("budget.unit=steps", "budget.amount=40", "budget.rungs=2")  # four epochs of ten batches, two validations
POINT = {"lr": 0.01}


def of(module: str, **arguments: object) -> tuple[str, ...]:
    """What takes a module of the tests instead of the plain one."""
    return (f"model._target_=user_schedules.{module}", *(f"+model.{key}={value}" for key, value in arguments.items()))


def whole(settings: StudySettings, folder: Path) -> Run:
    """The training of a trial, which has come to its end."""
    trained = Job(
        PointConfig(settings, POINT).resolved(), settings.objective.metric, settings.budget, 0, folder
    ).build()
    trained.fit()
    return trained


def callback(target: str, **arguments: object) -> str:
    given = "".join(f", {key}: {value}" for key, value in arguments.items())
    return f"+callbacks.mine={{_target_: {target}{given}}}"


@pytest.mark.parametrize("kind", ["warmup", "restarts", "one_cycle"])
@pytest.mark.parametrize("budget", [("budget.amount=4",), STEPS, ("budget.unit=samples", "budget.amount=400")])
def test_a_schedule_over_the_steps_of_a_trial_passes(plain: MakeSettings, kind: str, budget: tuple[str, ...]) -> None:
    assert preflight(plain(*of("LaidOut", kind=kind), *budget)) == []


@pytest.mark.parametrize(
    ("overrides", "limits"),
    [
        (("budget.amount=4",), {"max_epochs": 4, "num_training_batches": 10, "estimated_stepping_batches": 40}),
        (("+trainer.limit_train_batches=0.5",), {"num_training_batches": 5, "estimated_stepping_batches": 10}),
        (("trainer.accumulate_grad_batches=4",), {"estimated_stepping_batches": 6}),
        (STEPS, {"max_steps": 40, "max_epochs": -1, "num_training_batches": 10}),
        (("budget.unit=samples", "budget.amount=400"), {"max_steps": 40}),
        (("+trainer.limit_val_batches=3",), {"num_val_batches": [3]}),
    ],
)
def test_the_trainer_has_the_limits_of_a_trial(
    plain: MakeSettings, overrides: tuple[str, ...], limits: dict[str, object]
) -> None:
    given = "{" + ", ".join(f"{name}: {value}" for name, value in limits.items()) + "}"
    settings = plain(*of("Expects", limits=given), *overrides)
    assert preflight(settings) == []
    assert estimate_time(PointConfig(settings, POINT)).problem is None
    wrong = plain(*of("Expects", limits="{max_steps: 7}"), *overrides)
    assert "fails in one batch at lr=0.01 (ValueError: {'max_steps': " in str(preflight(wrong)[0])


def test_what_needs_a_logger_has_one_and_leaves_nothing(plain: MakeSettings, tmp_path: Path) -> None:
    monitor = callback("pytorch_lightning.callbacks.LearningRateMonitor")
    assert preflight(plain("+loggers=csv", monitor)) == []
    assert preflight(plain("+loggers=csv", *of("NeedsLogger"))) == []
    assert not list(tmp_path.rglob("*.csv"))
    (problem,) = preflight(plain(monitor))
    assert "Cannot use `LearningRateMonitor` callback with `Trainer` that has no logger" in problem.complaint
    assert str(problem).startswith("callbacks fail in one batch at lr=0.01 (")
    assert problem.remedy == "add a logger (+loggers=csv), or remove the callback"


def test_a_logger_that_cannot_be_built_is_told(plain: MakeSettings) -> None:
    logger = "+loggers.mine={_target_: user_schedules.CannotBeBuilt, save_dir: logs}"
    (problem,) = preflight(plain(logger))
    assert problem.key == "loggers"
    assert "ConnectionError: no server answers" in problem.complaint
    (problem,) = preflight(plain(logger, "model.behaviour=raise"))
    assert problem.key in ("loggers", "model")


def test_checkpoints_of_a_callback_are_not_written_where_trials_write_theirs(
    plain: MakeSettings, tmp_path: Path
) -> None:
    places = {"dirpath": f"{tmp_path}/mine", "save_last": "true"}
    assert preflight(plain(callback("pytorch_lightning.callbacks.ModelCheckpoint", **places))) == []
    assert not (tmp_path / "mine").exists()


def test_a_score_of_the_whole_validation_passes_everywhere(plain: MakeSettings) -> None:
    settings = plain(*of("TwoClasses"), "objective.metric=score", "objective.direction=maximize")
    assert preflight(settings) == []
    assert [dry_run_briefly(PointConfig(settings, point)).problem for point in settings.space.corners(limit=9)] == [
        None,
        None,
    ]


@pytest.mark.parametrize(("amount", "passes"), [(40, True), (20, True), (60, True), (18, False), (4, False)])
def test_a_metric_of_the_end_of_an_epoch_passes_where_no_rung_comes_before_it(
    plain: MakeSettings, amount: int, passes: bool
) -> None:
    """Epochs of ten batches, and two rungs in `amount` steps."""
    steps = ("budget.unit=steps", "budget.rungs=2", f"budget.amount={amount}")
    named = ("objective.metric=epoch_number", "objective.direction=maximize")
    settings = plain("model._target_=user_hooks.LogsInItsHook", *named, *steps)
    found = [dry_run_briefly(PointConfig(settings, point)) for point in settings.space.corners(limit=9)]
    found.append(estimate_time(PointConfig(settings, POINT)))
    assert [one.problem is None for one in found] == [passes] * len(found)
    problems = preflight(settings)
    assert ["budget.unit=epochs" in problem.remedy for problem in problems] == [True] * (not passes)
    if passes:
        assert (
            len(
                Job(PointConfig(settings, POINT).resolved(), "epoch_number", settings.budget, 0, Path())
                .build()
                .fit()
                .rungs
            )
            == 2
        )


def test_a_word_that_yaml_made_a_boolean_is_told_where_the_module_takes_a_text(plain: MakeSettings) -> None:
    assert preflight(plain("model._target_=user_modules.TakesAText", "+model.penalty='no'")) == []
    (problem,) = preflight(plain("model._target_=user_modules.TakesAText", "+model.penalty=false"))
    assert str(problem) == (
        "model.penalty is false, where user_modules.TakesAText takes a text: quote the word: YAML reads no, off, yes "
        "and on as true or false"
    )


def test_a_member_that_a_module_lacks_is_told_with_the_nearest(plain: MakeSettings) -> None:
    (problem,) = preflight(plain("model._target_=user_modules.Plane"))
    assert str(problem) == (
        "model._target_ is 'user_modules.Plane', which does not import: user_modules has no Plane: did you mean Plain?"
    )


def test_an_epoch_that_may_have_no_end_is_told(plain: MakeSettings) -> None:
    told: list[str] = []
    assert preflight(plain("model._target_=user_modules.Streamed"), tell=told.append) == []
    assert preflight(plain("model._target_=user_modules.Streamed", *STEPS), tell=told.append) == []
    (note,) = told
    assert "Where it never ends, no trial has a value: give a budget in steps, samples or seconds" in note


def no_value(settings: StudySettings) -> Problem:
    """The one problem of a study whose trials end without a value."""
    (problem,) = preflight(settings)
    return problem


@pytest.mark.parametrize(
    ("overrides", "key", "complaint"),
    [
        (("+trainer.limit_train_batches=0",), "trainer.limit_train_batches", "is 0, which leaves no training batch"),
        (("+trainer.limit_train_batches=0.001",), "trainer.limit_train_batches", "is 0.001, which leaves no batch"),
        (("+trainer.limit_val_batches=0.001",), "trainer.limit_val_batches", "is 0.001, which leaves no batch"),
        (of("Empty", part="train"), "model", "gives a training loader without a batch at lr=0.01"),
        (of("Empty", part="val"), "model", "gives a validation loader without a batch at lr=0.01"),
        ((callback("user_schedules.StopsAtOnce"),), "callbacks", "end the training at lr=0.01 before its first rung"),
    ],
)
@pytest.mark.parametrize("budget", [(), STEPS])
@pytest.mark.filterwarnings("ignore:Total length of .*DataLoader.* across ranks is zero")
def test_a_trial_that_would_end_without_a_value_is_told(
    plain: MakeSettings, overrides: tuple[str, ...], key: str, complaint: str, budget: tuple[str, ...]
) -> None:
    problem = no_value(plain(*overrides, *budget))
    assert problem.key == key
    assert problem.complaint.startswith(complaint)


def test_epochs_before_the_first_rung_are_tried_in_their_order(plain: MakeSettings) -> None:
    reading = of("ReadsValidation")
    assert preflight(plain(*reading)) == []
    assert preflight(plain(*reading, *STEPS[:2], "budget.rungs=4")) == []  # a validation at the end of each epoch
    (problem,) = preflight(plain(*reading, *STEPS))
    assert "KeyError: 'val_loss'" in problem.complaint
    (problem,) = preflight(plain(*reading, "budget.unit=samples", "budget.amount=4000"))
    assert "KeyError: 'val_loss'" in problem.complaint


def test_early_stopping_that_looks_before_the_first_validation_is_told(plain: MakeSettings) -> None:
    each_epoch = {"monitor": "val_loss", "check_on_train_epoch_end": "true"}
    stopping = callback("pytorch_lightning.callbacks.EarlyStopping", **each_epoch)
    assert preflight(plain(stopping)) == []
    (problem,) = preflight(plain(stopping, *STEPS))
    assert problem.key == "callbacks"
    assert problem.remedy.startswith("name a metric that is logged before it is read")


@pytest.mark.parametrize("more", [("+trainer.min_epochs=50",), ("+trainer.min_steps=500",)])
def test_no_minimum_of_the_trainer_makes_it_longer(plain: MakeSettings, tmp_path: Path, more: tuple[str, ...]) -> None:
    settings = plain("budget.amount=100", *more)
    job = Job(
        PointConfig(settings, POINT).resolved(),
        "val_loss",
        settings.budget,
        0,
        tmp_path,
        batch_limit=BatchLimit(3, n_epochs=2),
    )
    tried = job.build()
    training = tried.fit()
    assert tried.rungs.batches == 6
    assert [rung.index for rung in training.rungs] == [1, 2]


def test_gradients_that_are_accumulated_come_to_a_step(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain("trainer.accumulate_grad_batches=8")
    tried = Job(
        PointConfig(settings, POINT).resolved(), "val_loss", settings.budget, 0, tmp_path, batch_limit=BatchLimit(3)
    ).build()
    assert tried.fit().steps == 1


def test_a_test_part_that_fails_is_told(plain: MakeSettings) -> None:
    (problem,) = preflight(plain(*of("FailsInItsTest"), "objective.test=true"))
    assert problem.key == "model"
    assert problem.complaint.startswith("fails on its test set (IndexError: list index out of range")
    assert preflight(plain(*of("FailsInItsTest"))) == []


def test_a_monitor_that_is_never_logged_is_told(plain: MakeSettings) -> None:
    for budget in ((), STEPS):
        (problem,) = preflight(plain(*of("Plateau", monitor="val_los"), *budget))
        assert "val_los" in problem.complaint
    (problem,) = preflight(plain(*of("Plateau", monitor="val_los", frequency=5)))  # which steps after five epochs
    assert problem.complaint == "has a ReduceLROnPlateau that monitors val_los, which the module never logs"
    assert "did you mean val_loss?" in problem.remedy
    assert preflight(plain(*of("Plateau", monitor="val_los", strict="false"))) == []


def test_a_scheduler_that_steps_before_its_first_validation_is_told(plain: MakeSettings, tmp_path: Path) -> None:
    by_step = of("Plateau", interval="step", frequency=5)
    (problem,) = preflight(plain(*by_step))
    assert problem.complaint.startswith("has a ReduceLROnPlateau that steps each 5 batches by val_loss, which is first")
    with pytest.raises(Exception, match="ReduceLROnPlateau conditioned on metric val_loss which is not available"):
        whole(plain(*by_step), tmp_path)
    for passing in (("budget.amount=40", "budget.rungs=8"), ("budget.amount=40", "budget.rungs=10")):
        assert preflight(plain(*by_step, "budget.unit=steps", *passing)) == []
    assert preflight(plain(*of("Plateau", interval="step", frequency=5, strict="false"))) == []


def test_a_first_try_that_takes_too_long_is_noted_and_no_problem(plain: MakeSettings) -> None:
    notes: list[str] = []
    assert preflight(plain("check.max_s=1e-9"), tell=notes.append) == []
    (note,) = notes
    assert note.startswith("note: the first batches and their validation took longer than check.max_s=1e-09 s")
    assert preflight(plain("check.max_s=null"), tell=notes.append) == []
    assert len(notes) == 1


def kinds(settings: StudySettings, until: float | None) -> list[tuple[str, bool]]:
    found = Preflight(settings).dry_runs(corners=[{"lr": 0.001}], typical=[{"lr": 0.05}], until=until)
    return [(kind, seen.is_whole) for kind, seen in found]


def test_a_look_begins_only_while_there_is_time(plain: MakeSettings) -> None:
    everything = [("middle", True), ("seeds", True), ("corner", True), ("typical", True)]
    assert kinds(plain(), None) == kinds(plain(), time.monotonic() + 1000) == everything
    assert kinds(plain(), time.monotonic()) == [("middle", False)]
    broken = Preflight(plain("model.behaviour=raise")).dry_runs(corners=[POINT], typical=[POINT], until=None)
    assert [kind for kind, _ in broken] == ["middle"]


def test_a_procedure_that_takes_too_long_is_left(make_settings: MakeSettings) -> None:
    slow = make_settings("+model.sleep_s=0.01", study="bowl")
    assert dry_run(PointConfig(slow, {"x": 1.0}), THOROUGH, time_up=lambda: "now") == DryRun(
        {"x": 1.0}, None, is_whole=False
    )
