"""Studies of two objectives: trained, pruned by the first, gone on with, and reported."""

from __future__ import annotations

import csv
import io
import os
import re
import resource
import time
import urllib.request
from collections.abc import Callable

import numpy as np
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console
from shell import Shell
from trainings import run

from studies import schema
from studies.analysis.curves.learning_curves import MIN_WHOLE
from studies.analysis.table import trials_table
from studies.cli.reports import report_study
from studies.config.settings import StudySettings
from studies.errors import BadInput, StudyChanged
from studies.schema import Failure
from studies.storage.checkpoints import checkpoints_of
from studies.storage.creation import open_study
from studies.storage.identity import find_study
from studies.storage.opening import open_storage
from studies.trial.checkpoints.record import is_among_the_best
from studies.trial.objective import run_trial
from studies.trial.preflight.preflight import preflight

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
SECONDS = "objective.second={metric: seconds, direction: minimize}"
STEPS = "objective.second=steps"


def report(settings: StudySettings) -> str:
    study, _ = find_study(settings, open_storage(settings.storage.address))
    assert study is not None
    console = Console(record=True, width=500, file=io.StringIO())
    report_study(study, settings, console=console)
    return console.export_text()


def problems(make: Callable[[], StudySettings]) -> str:
    with pytest.raises(BadInput) as caught:
        make()
    return str(caught.value)


@pytest.mark.usefixtures("pictures")
@pytest.mark.slow
def test_a_study_of_accuracy_and_seconds_is_searched_pruned_gone_on_with_and_reported(
    make_settings: MakeSettings,
) -> None:
    asked = ("launcher=serial", "pruner=median", "pruner.n_startup_trials=3", "budget.amount=4", SECONDS)
    first = make_settings(*asked, "n_trials=6", "analysis=none")
    assert len(run(first)) == 6
    settings = make_settings(*asked, "n_trials=12", "analysis=none")
    trials = run(settings)
    states = [trial.state for trial in trials]
    assert len(states) == 12
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        rungs = trial.user_attrs[schema.RUNGS]
        assert [index for index, _ in rungs] == list(range(1, len(rungs) + 1))
        assert not trial.intermediate_values
        if trial.state == TrialState.COMPLETE:
            assert len(rungs) == 4
            assert trial.values == [rungs[-1][1], trial.user_attrs[schema.SECONDS]]
        else:
            assert 2 <= len(rungs) < 4, "every trial reaches the warm-up's last rung"
            assert trial.values is None
    study, _ = find_study(settings, open_storage(settings.storage.address))
    assert study is not None
    assert study.metric_names == ["val/accuracy", "seconds"]
    assert study.user_attrs[schema.STUDY_METRIC]["second"] == {"name": "seconds", "direction": "minimize"}

    printed = report(settings)
    folder = settings.output_dir
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = max(complete, key=lambda trial: (trial.values[0], -trial.values[1]))
    assert f"Best val/accuracy {best.values[0]:.4f} (trial {best.number}); " in printed
    assert "on the front, " in printed
    with (folder / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {trial.number for trial in study.best_trials}  # Optuna's own front
    assert {int(row["trial"]) for row in rows if row["on_front"] == "True"} == expected
    assert len(rows) == len(complete)
    assert (folder / "pareto.png").stat().st_size > 0
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "## The front: val/accuracy against seconds" in text
    assert "were pruned by val/accuracy and cannot be on the front" in text or "was pruned by" in text
    assert yaml.safe_load((folder / "best.yaml").read_text())["trial"] == best.number
    assert [trial.number for trial in checkpoints_of(settings).best(trials)] == [best.number]
    with (folder / "trials.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[best.number]
    assert [float(row["value"]), float(row["second_seconds"])] == best.values
    assert row["rungs"] == "4"
    table = trials_table(study)
    policy = "completed" if len(complete) >= MIN_WHOLE else "rung 2"
    assert (table.n_objectives, table.policy, len(table.y)) == (2, policy, 12)


def test_of_equals_in_the_first_objective_the_best_is_the_one_on_the_front(plain: MakeSettings) -> None:
    settings = plain(SECONDS, "n_trials=3", "checkpoint.keep_best=1", "analysis=none")
    study = open_study(settings, open_storage(settings.storage.address))
    lr = {"lr": settings.space["lr"].distribution()}
    for i, values in enumerate([(0.5, 1.0), (0.5, 0.2), (0.6, 0.1)]):
        recorded = {schema.SLOT: i, schema.SEED: i, schema.REPLICATE: i}
        study.add_trial(
            create_trial(values=values, params={"lr": 0.01 * (i + 1)}, distributions=lr, user_attrs=recorded)
        )
    assert "Best val_loss 0.5000 (trial 1); " in report(settings)
    assert yaml.safe_load((settings.output_dir / "best.yaml").read_text())["trial"] == 1
    assert [trial.number for trial in checkpoints_of(settings).best(study.trials)] == [1]
    assert 1 in [trial.number for trial in study.best_trials]
    assert 0 not in [trial.number for trial in study.best_trials]


def test_an_equal_of_the_best_keeps_its_state_until_its_second_value_is_known(plain: MakeSettings) -> None:
    for second, is_kept in ([SECONDS], True), ([], False):
        settings = plain(*second, f"study_name=kept_{is_kept}", "checkpoint.keep_best=1")
        study = open_study(settings, open_storage(settings.storage.address))
        study.add_trial(create_trial(values=[0.5, 1.0][: 1 + len(second)]))
        trial, objective = study.ask(), settings.objective
        kept = [is_among_the_best(trial, loss, k=1, objective=objective) for loss in (0.4, 0.5, 0.6)]
        assert kept == [True, is_kept, False]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_search_on_where_most_trials_are_pruned(plain: MakeSettings, sampler: str) -> None:
    rule = ("pruner=asha", "pruner.reduction_factor=2", "budget.amount=3")
    trials = run(plain(f"sampler={sampler}", *rule, "n_trials=14", STEPS, "seed=1"))
    states = [trial.state for trial in trials]
    assert len(states) == 14
    assert states.count(TrialState.PRUNED) >= 5
    assert len({trial.params["lr"] for trial in trials}) == 14


def test_a_logged_metric_can_be_the_second(plain: MakeSettings) -> None:
    settings = plain("objective.second={metric: train_loss, direction: minimize}", "n_trials=2")
    for trial in run(settings):
        assert trial.values is not None
        assert trial.values[0] == trial.user_attrs[schema.RUNGS][-1][1]
        assert trial.values[1] not in (trial.values[0], 0.0)


@pytest.mark.parametrize(
    ("metric", "nearest"),
    [
        ("train_los", "did you mean train_loss?"),
        ("secnds", "did you mean seconds?"),
        ("x", "use one of peak_memory_mb"),
    ],
)
def test_an_unknown_second_metric_is_refused_with_the_nearest(plain: MakeSettings, metric: str, nearest: str) -> None:
    (problem,) = preflight(plain(f"objective.second={{metric: {metric}, direction: minimize}}"))
    assert problem.key == "objective.second.metric"
    assert f"is {metric}, but the module never logged {metric}" in problem.complaint
    assert nearest in problem.remedy


def test_a_noise_of_the_first_objective_alone_is_refused(plain: MakeSettings) -> None:
    assert "objective.noise is 0.01 but there is no second objective" in problems(lambda: plain("objective.noise=0.01"))
    assert plain("objective.noise=0.01", STEPS).objective.noise == 0.01


def test_second_objectives_that_say_nothing_are_refused(plain: MakeSettings) -> None:
    assert "objective.second.metric is val_loss, the first metric too" in problems(
        lambda: plain("objective.second={metric: val_loss, direction: minimize}")
    )
    assert "objective.second.metric is steps, of which budget.unit=steps gives each trial as many" in problems(
        lambda: plain(STEPS, "budget.unit=steps", "budget.amount=20")
    )
    by_name = "or give a logged metric with its direction, objective.second={metric: val_accuracy, direction: min"
    assert by_name in problems(lambda: plain("objective.second=val_accuracy"))
    misspelt = "objective.second is sconds, which is none of the training's own figures: did you mean seconds?"
    assert misspelt in problems(lambda: plain("objective.second=sconds"))
    assert "objective.second.direction is None" in problems(lambda: plain("objective.second={metric: val_accuracy}"))
    assert "objective.second.metrik is not a known key" in problems(lambda: plain("objective.second={metrik: steps}"))
    assert "sampler is cmaes, which knows one objective only" in problems(lambda: plain("sampler=cmaes", STEPS))


@pytest.mark.parametrize(
    ("second", "noise"),
    [
        ("seconds", 0.1),
        ("peak_memory_mb", 0.05),
        ("steps", 0.0),
        ("{metric: train_loss, direction: minimize}", 0.0),
        ("{metric: seconds, noise: 0.3}", 0.3),
        ("{metric: seconds, noise: 0}", 0.0),
    ],
)
def test_clock_and_memory_are_noisy_unless_it_is_said_how_much(plain: MakeSettings, second: str, noise: float) -> None:
    found = plain(f"objective.second={second}").objective.second
    assert found is not None
    assert found.noise == noise


def test_another_number_of_objectives_is_another_study(plain: MakeSettings) -> None:
    storage = open_storage(plain().storage.address)
    open_study(plain(), storage)
    with pytest.raises(StudyChanged, match="objective is minimize, minimize but minimize in the stored study"):
        find_study(plain(STEPS), storage)
    run(plain("n_trials=1"))
    with pytest.raises(StudyChanged, match=r"objective\.second\.metric is 'steps' but absent in the stored study"):
        find_study(plain(STEPS), storage)


def test_a_retry_has_the_rungs_of_the_attempt_before(plain: MakeSettings) -> None:
    settings = plain(SECONDS, "checkpoint.every_s=1e-9", "budget.amount=4")
    study = open_study(settings, open_storage(settings.storage.address))

    def attempt(n_questions: int, repeated: FrozenTrial | None) -> FrozenTrial:
        left = iter(range(n_questions))
        stop = lambda: "SIGTERM" if next(left, None) is None else None  # noqa: E731
        study.enqueue_trial({"lr": 0.05})
        trial = study.ask()
        outcome = run_trial(trial, settings, seed=3, interrupted=stop, repeated=repeated)
        for key, value in outcome.attributes.items():
            trial.set_user_attr(key, value)
        study.tell(trial, outcome.values, state=outcome.state)
        return study.get_trials()[trial.number]

    broken = attempt(52, None)
    assert broken.state == TrialState.FAIL
    assert 1 <= len(broken.user_attrs[schema.RUNGS]) < 4
    again = attempt(10**9, broken)
    assert again.user_attrs[schema.RESUMED_FROM]["trial"] == broken.number
    rungs = again.user_attrs[schema.RUNGS]
    assert rungs[: len(broken.user_attrs[schema.RUNGS])] == broken.user_attrs[schema.RUNGS]
    assert [index for index, _ in rungs] == [1, 2, 3, 4]
    assert again.values == [rungs[-1][1], again.user_attrs[schema.SECONDS]]


def test_stop_at_is_of_the_first_objective(plain: MakeSettings) -> None:
    upwards = ("objective.direction=maximize", "objective.direction_is_meant=true")
    assert len(run(plain(STEPS, "stop_at=0.1", "n_trials=6", *upwards))) == 1
    assert len(run(plain(STEPS, "stop_at=1e-9", "n_trials=2", "study_name=other"))) == 2


def test_failures_of_the_point_leave_no_values(plain: MakeSettings) -> None:
    trials = run(plain(SECONDS, "n_trials=2", "model.behaviour=not_a_number"))
    assert [trial.state for trial in trials] == [TrialState.PRUNED] * 2
    assert {trial.user_attrs[schema.FAILURE] for trial in trials} == {Failure.DIVERGED}
    printed = report(plain(SECONDS, "n_trials=2", "model.behaviour=not_a_number", "analysis=none"))
    assert "2 of 2 trials finished, none of them with a value" in printed


@pytest.mark.slow
def test_a_designed_experiment_has_a_front_of_its_cells(plain: MakeSettings) -> None:
    settings = plain("sampler=grid", "n_trials=null", "replicates=2", "budget.amount=1", STEPS, "analysis=none")
    assert len(run(settings)) == 8
    report(settings)
    with (settings.output_dir / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["n"] for row in rows] == ["2"] * 4
    text = (settings.output_dir / "report.md").read_text(encoding="utf-8")
    assert "4 configurations, 2 training seeds each. P is by bootstrap" in text


@pytest.mark.slow
def test_ranks_train_a_trial_of_two_objectives_together(plain: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    second = "objective.second={metric: train_loss, direction: minimize}"
    settings = plain(second, "launcher.devices_per_trial=2", "trainer.accelerator=cpu", "n_trials=4", "pruner=asha")
    trials = run(settings)
    assert len(trials) == 4
    assert all(trial.user_attrs[schema.RUNGS] for trial in trials)
    assert all(len(trial.values or ()) == 2 for trial in trials if trial.state == TrialState.COMPLETE)


def test_the_peak_of_memory_is_the_trials_own(plain: MakeSettings) -> None:
    """On a CPU it is the process's, which has trained other trials before."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this system does not let a process forget its peak")
    assert np.ones(50_000_000).sum() > 0  # 400 MB, freed at once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    (trial,) = run(plain("objective.second=peak_memory_mb", "n_trials=1"))
    assert trial.values is not None
    assert trial.values[1] == trial.user_attrs[schema.PEAK_MEMORY_MB] < before - 300


@pytest.mark.slow
def test_commands_show_a_study_of_two_objectives(shell: Shell) -> None:
    output = shell.run("run", "+study=digits", STEPS, "n_trials=4", "budget.amount=2", "analysis=none", "workers=2")
    assert "on the front, " in output
    assert "4 of 4" in shell.run("list")
    assert "there is no single best one" in shell.run("report", "study_name=digits", "analysis=none")
    retrained = shell.run("retrain", "+study=digits", STEPS, "n_trials=4", "budget.amount=2", "trial=1")
    assert "training trial 1 of study digits" in retrained
    process = shell.start("dashboard", "+study=digits", "dashboard.port=18380")
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
    assert address
    deadline = time.monotonic() + 60
    while True:
        try:
            page = urllib.request.urlopen(f"{address[0]}api/studies/1", timeout=5).read().decode()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert '"objective_names": ["val/accuracy", "steps"]' in page
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.slow
def test_the_effects_are_those_on_the_first_objective_at_a_common_rung(plain: MakeSettings) -> None:
    settings = plain(STEPS, "n_trials=14", "pruner=asha", "pruner.reduction_factor=2", "budget.amount=3")
    run(settings)
    report(settings)
    text = (settings.output_dir / "report.md").read_text(encoding="utf-8")
    assert "The study has 2 objectives. What follows is about the first alone, val_loss." in text
    assert "so all are compared at rung 1 of 3" in text
