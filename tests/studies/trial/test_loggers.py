from __future__ import annotations

import csv
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState
from trainings import TRAINER, run

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problems
from studies.process.signals import StopSignals
from studies.reporting.ending_notes import logger_notes
from studies.selection.chosen import chosen
from studies.trial.job import Job
from studies.trial.loggers.kinds import logger_problems
from studies.trial.loggers.tracked_run import TrackedRun
from studies.trial.retraining import train_and_test

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*"),
    pytest.mark.usefixtures("user_modules"),
]
MakeSettings = Callable[..., StudySettings]
LOGGERS = "pytorch_lightning.loggers"
SHORT = ("budget.amount=1", "+trainer.log_every_n_steps=1")


def csv_in(folder: Path, *more: str) -> str:
    return f"+loggers.csv={{{', '.join((f'_target_: {LOGGERS}.CSVLogger', f'save_dir: {folder}', *more))}}}"


def hyperparameters(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "hparams.yaml").read_text()))


def folders(folder: Path) -> list[str]:
    return sorted(str(found.parent.relative_to(folder)) for found in folder.rglob("hparams.yaml"))


def test_each_trial_of_each_study_has_a_folder_with_its_point_and_its_end(plain: MakeSettings, tmp_path: Path) -> None:
    for name in ("one", "two"):
        trials = run(plain(*SHORT, "n_trials=2", f"study_name={name}", csv_in(tmp_path / "csv")))
    assert folders(tmp_path / "csv") == ["one/trial-0", "one/trial-1", "two/trial-0", "two/trial-1"]
    shown = hyperparameters(tmp_path / "csv" / "two" / "trial-1")
    assert shown == {
        "study": "two",
        "trial": 1,
        "lr": trials[1].params["lr"],
        "training_seed": trials[1].user_attrs[schema.SEED],
        "budget_unit": "epochs",
        "budget_amount": 1,
        "status": "complete",
        "value": trials[1].value,
    }
    with (tmp_path / "csv" / "one" / "trial-0" / "metrics.csv").open() as file:
        assert any(row["train_loss"] for row in csv.DictReader(file))


def test_a_name_of_the_users_stays_and_the_study_is_told_beside_it(plain: MakeSettings, tmp_path: Path) -> None:
    run(plain(*SHORT, "n_trials=1", csv_in(tmp_path / "csv", "name: mine")))
    assert folders(tmp_path / "csv") == ["mine/plain-trial-0"]


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield StopSignals().install()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [("not_a_number", "diverged"), ("raise", "error"), ("oom", "out_of_memory"), ("interrupt", "killed")],
)
def test_a_run_is_ended_with_what_became_of_the_trial(
    plain: MakeSettings, tmp_path: Path, signals: StopSignals, behaviour: str, state: str
) -> None:
    once = (f"model.behaviour={behaviour}", f"model.marker={tmp_path}/tries", "model.times=1")
    run(plain(*SHORT, "n_trials=1", *once, csv_in(tmp_path)), signals=signals)
    shown = hyperparameters(tmp_path / "plain" / "trial-0")
    assert (shown["status"], "value" in shown) == (state, False)


def test_a_pruned_trial_and_one_that_prunes_itself_are_told_as_pruned(plain: MakeSettings, tmp_path: Path) -> None:
    threshold = ("pruner=threshold", "pruner.upper=-1.0")
    run(plain("n_trials=1", "study_name=stopped", *threshold, csv_in(tmp_path)))
    run(plain("n_trials=1", "study_name=itself", "model._target_=user_modules.PrunesItself", csv_in(tmp_path)))
    assert hyperparameters(tmp_path / "stopped" / "trial-0")["status"] == "pruned"
    assert hyperparameters(tmp_path / "itself" / "trial-0")["status"] == "pruned"


def test_a_retry_has_a_run_of_its_own_that_names_the_trial_before(plain: MakeSettings, tmp_path: Path) -> None:
    once = ("model.behaviour=raise", f"model.marker={tmp_path}/tries", "model.times=1")
    run(plain(*SHORT, "n_trials=1", *once, csv_in(tmp_path / "csv")))
    first, second = (hyperparameters(tmp_path / "csv" / "plain" / f"trial-{number}") for number in (0, 1))
    assert (first["status"], second["status"], second["retry_of"]) == ("error", "complete", 0)


def test_a_second_go_at_half_the_batch_has_a_run_of_its_own(plain: MakeSettings, tmp_path: Path) -> None:
    memory = ("out_of_memory.retry=halve_batch", "out_of_memory.batch_size=model.batch_size")
    once = ("model.behaviour=oom", f"model.marker={tmp_path}/tries", "model.times=1")
    run(plain(*SHORT, "n_trials=1", *memory, *once, csv_in(tmp_path / "csv")))
    first, second = (hyperparameters(tmp_path / "csv" / "plain" / name) for name in ("trial-0", "trial-0-half-batch"))
    assert (first["status"], second["status"], second["batch_halved"]) == ("out_of_memory", "complete", 5)


def test_retrainings_overwrite_neither_the_trial_nor_each_other(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain(*SHORT, "n_trials=1", csv_in(tmp_path / "csv"))
    (trial,) = run(settings)
    config = chosen(settings, Choice(trial, Estimate(trial.value or 0.0, n=1)))
    for _ in range(2):
        train_and_test(config, budget=settings.budget, folder=tmp_path / "trial-0")
    own = ["plain/retrain-trial-0", "plain/retrain-trial-0-2", "plain/trial-0"]
    assert folders(tmp_path / "csv") == own
    assert hyperparameters(tmp_path / "csv" / own[1])["value"] == trial.value


@pytest.mark.parametrize("at", ["experiment", "log_hyperparams", "log_metrics", "finalize"])
def test_a_logger_that_fails_is_told_and_does_not_fail_the_trial(plain: MakeSettings, tmp_path: Path, at: str) -> None:
    breaks = f"+loggers.own={{_target_: user_loggers.Breaks, save_dir: {tmp_path}/own, at: {at}}}"
    (trial,) = run(plain(*SHORT, "n_trials=1", breaks, csv_in(tmp_path / "csv")))
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs[schema.LOGGER_FAILURES] == {"own": "OSError: no space left on device"}
    (note,) = logger_notes([trial])
    assert note.startswith("loggers.own failed in 1 trial, and the trainings went on without it (OSError: no")
    assert hyperparameters(tmp_path / "csv" / "plain" / "trial-0")["status"] == "complete"


def test_callbacks_that_need_a_logger_go_on_without_the_one_that_failed(plain: MakeSettings, tmp_path: Path) -> None:
    breaks = f"+loggers.own={{_target_: user_loggers.Breaks, save_dir: {tmp_path}, at: experiment}}"
    monitor = "+callbacks.lr={_target_: pytorch_lightning.callbacks.LearningRateMonitor}"
    (trial,) = run(plain(*SHORT, "n_trials=1", breaks, monitor))
    assert trial.state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("logger", "key"),
    [
        ("WandbLogger", "id"),
        ("WandbLogger", "version"),
        ("MLFlowLogger", "run_id"),
        ("CSVLogger", "version"),
        ("TensorBoardLogger", "version"),
    ],
)
@pytest.mark.parametrize("package", [LOGGERS, "lightning.pytorch.loggers"])
def test_one_run_for_all_trials_is_refused(package: str, logger: str, key: str) -> None:
    problems = Problems()
    logger_problems({"loggers": {"mine": {"_target_": f"{package}.{logger}", key: "one"}}}, problems)
    (problem,) = problems.found
    assert (problem.key, "would mix all trials" in str(problem)) == (f"loggers.mine.{key}", True)


def test_a_run_that_is_resumed_by_all_trials_is_refused() -> None:
    problems = Problems()
    logger_problems({"loggers": {"w": {"_target_": f"{LOGGERS}.WandbLogger", "resume": "must"}}}, problems)
    assert [problem.key for problem in problems.found] == ["loggers.w.resume"]


@pytest.mark.parametrize(("logger", "package"), [("WandbLogger", "wandb"), ("MLFlowLogger", "mlflow")])
def test_a_missing_package_is_told_with_the_extra_to_install(
    logger: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        BadInput, match=rf"loggers\.mine is a {logger}, and {package} is not installed: .*\[{package}\]"
    ):
        job(tmp_path, {"mine": {"_target_": f"{LOGGERS}.{logger}"}}).build()


def test_a_folder_that_is_named_like_a_package_is_not_that_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B writes into a folder called wandb, which Python can import from the working folder."""
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if not p.endswith("site-packages"))])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    importlib.invalidate_caches()
    problems = Problems()
    logger_problems({"loggers": {"w": {"_target_": f"{LOGGERS}.WandbLogger"}}}, problems)
    assert [problem.key for problem in problems.found] == ["loggers.w"]


def job(folder: Path, loggers: dict[str, Any], *, offline_in: Path | None = None) -> Job:
    config = {"model": {"_target_": "user_modules.Plain"}, "trainer": TRAINER, "loggers": loggers}
    tracked = TrackedRun("study", "trial-0", hyperparameters={"lr": 0.1})
    budget = Budget("epochs", 1, 1)
    return Job(config, "val_loss", budget, 0, folder / "t0", tracked=tracked, offline_in=offline_in)


def test_a_first_try_writes_below_its_own_folder_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")  # which would write
    loggers = {
        "csv": {"_target_": f"{LOGGERS}.CSVLogger", "save_dir": "csv"},
        "tensorboard": {"_target_": f"{LOGGERS}.TensorBoardLogger", "save_dir": "tensorboard"},
        "wandb": {"_target_": f"{LOGGERS}.WandbLogger", "save_dir": "wandb", "log_model": True},
    }
    aside = tmp_path / "aside"
    run = job(tmp_path, loggers, offline_in=aside).build()
    run.fit()
    assert [path.name for path in tmp_path.iterdir()] == ["aside"]
    assert (aside / "study" / "trial-0" / "metrics.csv").exists()
    assert len(run.trainer.loggers) == 3


def test_a_logger_that_no_argument_keeps_away_from_its_server_is_not_made_for_a_first_try(tmp_path: Path) -> None:
    import user_loggers  # type: ignore[import-not-found]

    before = user_loggers.Elsewhere.made
    run = job(tmp_path, {"own": {"_target_": "user_loggers.Elsewhere"}}, offline_in=tmp_path / "aside").build()
    run.fit()
    assert user_loggers.Elsewhere.made == before
    assert len(run.trainer.loggers) == 1  # what a module or a callback calls is there


def test_a_first_try_fails_by_what_a_logger_does_not_take(tmp_path: Path) -> None:
    wrong = {"w": {"_target_": f"{LOGGERS}.WandbLogger", "no_such_option": 1}}
    with pytest.raises(TypeError, match="no_such_option"):
        job(tmp_path, wrong, offline_in=tmp_path / "aside").build().fit()


def test_tensorboard_shows_the_value_and_the_state(plain: MakeSettings, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = f"+loggers.tb={{_target_: {LOGGERS}.TensorBoardLogger, save_dir: {tmp_path}/tb}}"
    (trial,) = run(plain(*SHORT, "n_trials=1", logger))
    events = EventAccumulator(str(tmp_path / "tb" / "plain" / "trial-0")).Reload()
    assert events.Scalars("hp_metric")[-1].value == pytest.approx(trial.value)
    assert "status/text_summary" in events.Tags()["tensors"]


def test_each_trial_is_a_run_of_its_own_in_wandb(
    plain: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of the surrounding shell is another one."""
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    settings = plain(*SHORT, "n_trials=2", "+loggers=wandb", "loggers.wandb.project=p", "model.lr=0.05")
    run(settings)
    assert wandb.run is None
    files = sorted((settings.output_dir / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.stem for file in files}) == 2
    written = b"".join(file.read_bytes() for file in files)
    assert all(text in written for text in (b"plain-trial-0", b"plain-trial-1", b"complete", b"training_seed"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*noload.*")
def test_each_trial_is_a_run_of_its_own_in_mlflow(plain: MakeSettings, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    broken = ("model.behaviour=raise", f"model.marker={tmp_path}/tries", "model.times=1")
    settings = plain(*SHORT, "n_trials=2", "+loggers=mlflow", *broken)
    trials = run(settings)
    client = MlflowClient(f"sqlite:///{settings.output_dir}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "plain")
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda found: str(found.info.run_name))
    assert [found.info.run_name for found in runs] == [f"plain-trial-{number}" for number in range(3)]
    assert [found.info.status for found in runs] == ["FAILED", "FINISHED", "FINISHED"]
    assert [found.data.tags["status"] for found in runs] == ["error", "complete", "complete"]
    assert runs[1].data.params["retry_of"] == "0"
    assert [found.data.metrics.get("value") for found in runs] == [trial.value for trial in trials]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*noload.*")
def test_a_first_try_leaves_the_address_of_mlflow_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    logger = {"_target_": f"{LOGGERS}.MLFlowLogger", "tracking_uri": "http://127.0.0.1:9"}
    job(tmp_path, {"mlflow": logger}, offline_in=tmp_path / "aside").build().fit()
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    assert (tmp_path / "aside" / "mlflow.db").exists()
