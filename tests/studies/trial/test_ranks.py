"""Two processes on the CPU that train one trial together."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, TrialState
from shell import USERS
from trainings import TRAINER, train

from studies import schema
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.schema import Failure
from studies.storage.identity import identity
from studies.trial.failures import TrainingFailed
from studies.trial.job import Job
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Watchers

pytestmark = pytest.mark.usefixtures("user_modules")
SOON_S = 20.0  # a busy machine; without a guard it takes half an hour


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def a_job(tmp_path: Path, budget: Budget, *, target: str = "user_ranks.OnOneRank", **module: Any) -> Job:
    """20 points of a line on each of two ranks, 5 batches of 4 an epoch, unless `module` says otherwise."""
    trainer = {**TRAINER, **module.pop("trainer", {})}
    more = {key: module.pop(key) for key in ("callbacks", "datamodule") if key in module}
    limit = module.pop("max_trial_s", None)
    model = {"_target_": target, "n_samples": 40, "batch_size": 4, **module}
    config = {"model": model, "trainer": trainer, **more}
    return Job(config, metric="val_loss", budget=budget, seed=1, folder=tmp_path / "t0", max_trial_s=limit)


def both(notes: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = (json.loads((notes / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    return first, second


def are_gone(notes: Path) -> bool:
    pids = [int(path.read_text()) for path in notes.glob("*.pid")]
    assert len(pids) == 2
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_both_ranks_train_the_same_point_to_the_same_weights(tmp_path: Path, notes: Path) -> None:
    training = train(a_job(tmp_path, Budget("epochs", 2, 2), lr=0.07, notes=str(notes)))
    first, second = both(notes)
    assert first == second
    assert first["lr"] == 0.07
    assert first["steps"] == training.steps == 10
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 40), (2, 80)]
    assert training.samples_seen == 80
    assert training.device == "2 × cpu"
    assert training.peak_memory_mb > 0
    assert are_gone(notes)


@pytest.mark.parametrize("sync", [True, False])
def test_two_ranks_with_half_the_batch_each_come_to_what_one_process_comes_to(
    tmp_path: Path, notes: Path, sync: bool
) -> None:
    """All data in one batch: the order, which differs, does not matter then."""
    budget = Budget("epochs", 20, 20)
    whole = a_job(tmp_path, budget, batch_size=40, sync=sync, notes=str(notes))
    exclusively = whole.build().fit()
    weights = json.loads((notes / "rank-0.json").read_text())["weights"]
    together = train(a_job(tmp_path, budget, batch_size=20, sync=sync, notes=str(notes)))
    assert [rung.value for rung in together.rungs] == pytest.approx(
        [rung.value for rung in exclusively.rungs], abs=1e-5
    )
    assert together.rungs[0].value > 10 * together.rungs[-1].value
    for rank in both(notes):
        assert rank["weights"][0][0] == pytest.approx(weights[0][0], abs=1e-5)
        assert rank["weights"][1] == pytest.approx(weights[1], abs=1e-5)


def test_a_pruned_trial_ends_on_both_ranks(tmp_path: Path, notes: Path) -> None:
    told: list[Rung] = []

    def stop_at_second(rung: Rung) -> bool:
        told.append(rung)
        return rung.index == 2

    job = a_job(tmp_path, Budget("epochs", 50, 50), notes=str(notes))
    training = train(job, Watchers(report=stop_at_second))
    assert training.stopped
    assert [rung.index for rung in told] == [1, 2]
    assert [rank["steps"] for rank in both(notes)] == [10, 10]


@pytest.mark.parametrize(
    ("budget", "n_steps", "samples_at_rungs"),
    [
        (Budget("steps", 8, 2), 8, [32, 64]),
        (Budget("samples", 80, 2), 10, [40, 80]),
        (Budget("samples", 83, 1), 11, [88]),
    ],
)
def test_budgets_count_the_samples_of_all_ranks(
    tmp_path: Path, notes: Path, budget: Budget, n_steps: int, samples_at_rungs: list[int]
) -> None:
    data = {"_target_": "user_data.Line", "batch_size": 4} if budget.unit == "samples" else None
    training = train(a_job(tmp_path, budget, notes=str(notes), datamodule=data))
    assert training.steps == n_steps
    assert [rung.samples_seen for rung in training.rungs] == samples_at_rungs
    if budget.unit == "samples":
        assert [rank["max_steps"] for rank in both(notes)] == [n_steps] * 2  # what schedules are laid out for


def test_seconds_are_those_of_one_clock(tmp_path: Path, notes: Path) -> None:
    training = train(a_job(tmp_path, Budget("seconds", 1.0, 4), sleep_s=0.01, notes=str(notes)))
    assert training.rungs[-1].index == 4
    first, second = both(notes)
    assert first["steps"] == second["steps"]


def test_the_time_limit_ends_both_ranks(tmp_path: Path, notes: Path) -> None:
    job = a_job(tmp_path, Budget("epochs", 500, 500), sleep_s=0.02, notes=str(notes), max_trial_s=0.7)
    training = train(job)
    assert training.out_of_time
    first, second = both(notes)
    assert first["steps"] == second["steps"] < 200


def test_divergence_of_one_rank_is_that_of_the_trial(tmp_path: Path) -> None:
    """At the last batch of an epoch, after which the other rank has not seen anything of it yet."""
    for on_rank in (0, 1):
        job = a_job(tmp_path, Budget("epochs", 9, 9), behaviour="not_a_number", at=9, on_rank=on_rank)
        training = train(job)
        assert training.diverged is not None
        assert [rung.index for rung in training.rungs] == [1]


def test_a_callback_that_stops_one_rank_stops_both(tmp_path: Path, notes: Path) -> None:
    stops = {"_target_": "user_ranks.StopsOneRank"}
    training = train(a_job(tmp_path, Budget("epochs", 9, 9), callbacks={"stops": stops}, notes=str(notes)))
    assert [rank["steps"] for rank in both(notes)] == [7, 7]
    assert [rung.index for rung in training.rungs] == [1]


def test_ranks_may_validate_unequal_numbers_of_batches(tmp_path: Path) -> None:
    training = train(a_job(tmp_path, Budget("epochs", 4, 4), target="user_ranks.ValidatesUnequally"))
    assert [rung.index for rung in training.rungs] == [1, 2, 3, 4]


def test_early_stopping_stops_both(tmp_path: Path, notes: Path) -> None:
    stopping = {
        "_target_": "pytorch_lightning.callbacks.EarlyStopping",
        **{"monitor": "val_loss", "patience": 2, "min_delta": 100.0},
    }
    job = a_job(tmp_path, Budget("epochs", 9, 9), callbacks={"early_stopping": stopping}, notes=str(notes))
    assert len(train(job).rungs) == 3
    assert [rank["steps"] for rank in both(notes)] == [15, 15]


FAILURES = [
    ("raise", Failure.ERROR, "ValueError: the module is broken"),
    ("oom", Failure.OUT_OF_MEMORY, "OutOfMemoryError: CUDA out of memory"),
    ("kill", Failure.KILLED, r"rank \d of 2 died \(SIGKILL\)"),
    ("exit", Failure.KILLED, r"rank \d of 2 died \(exit code 3\)"),
    ("exit_0", Failure.KILLED, r"rank \d of 2 died \(exit code 0\)"),
]


@pytest.mark.timeout(SOON_S * 3)
@pytest.mark.parametrize("on_rank", [0, 1])
@pytest.mark.parametrize(("behaviour", "failure", "message"), FAILURES, ids=[name for name, _, _ in FAILURES])
def test_what_happens_to_one_rank_ends_the_other(
    tmp_path: Path, notes: Path, behaviour: str, failure: Failure, message: str, on_rank: int
) -> None:
    job = a_job(tmp_path, Budget("epochs", 9, 9), behaviour=behaviour, at=7, on_rank=on_rank, notes=str(notes))
    with pytest.raises(TrainingFailed, match=message) as caught:
        train(job)
    assert caught.value.failure is failure
    assert are_gone(notes)


@pytest.mark.timeout(SOON_S * 3)
@pytest.mark.parametrize("on_rank", [0, 1])
def test_what_a_callback_does_about_an_error_holds_nobody_up(tmp_path: Path, on_rank: int) -> None:
    """Lightning's own one saves a checkpoint, for which it waits for all ranks."""
    saves = {"_target_": "pytorch_lightning.callbacks.OnExceptionCheckpoint", "dirpath": str(tmp_path / "kept")}
    job = a_job(tmp_path, Budget("epochs", 9, 9), behaviour="raise", at=7, on_rank=on_rank, callbacks={"saves": saves})
    with pytest.raises(TrainingFailed, match="ValueError: the module is broken"):
        train(job)


def test_what_fails_before_the_ranks_have_met_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"unexpected keyword argument|lr_"):
        train(a_job(tmp_path, Budget("epochs", 1, 1), target="torch.nn.Linear", lr_=1))


def test_a_module_that_prunes_itself_is_pruned(tmp_path: Path) -> None:
    job = a_job(tmp_path, Budget("epochs", 1, 1), target="user_modules.PrunesItself")
    with pytest.raises(TrialPruned):
        train(replace(job, prunes=(TrialPruned,)))


@pytest.mark.timeout(SOON_S * 3)
def test_an_interruption_ends_both_ranks(tmp_path: Path, notes: Path) -> None:
    reached: list[Rung] = []

    def note(rung: Rung) -> bool:
        reached.append(rung)
        return False

    watchers = Watchers(report=note, interrupted=lambda: "SIGTERM" if reached else None)
    job = a_job(tmp_path, Budget("epochs", 10**4, 10**4), sleep_s=0.01, notes=str(notes))
    with pytest.raises(Interrupted, match="SIGTERM"):
        train(job, watchers)
    assert are_gone(notes)


@pytest.mark.timeout(SOON_S * 3)
@pytest.mark.parametrize(
    "module", [{"val_sleep_s": 3600.0}, {"behaviour": "hang", "at": 7}], ids=["validation", "hang"]
)
def test_ranks_that_do_not_listen_are_cut_off(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, module: dict[str, Any]
) -> None:
    def reason() -> str | None:
        return "SIGTERM" if (notes / "hangs").exists() else None

    monkeypatch.setattr("studies.trial.ranks.processes.GRACE_S", 1.0)
    with pytest.raises(Interrupted, match="SIGTERM"):
        train(a_job(tmp_path, Budget("epochs", 9, 9), notes=str(notes), **module), Watchers(interrupted=reason))
    assert are_gone(notes)


WORKER = """
import pickle, sys
from studies.trial.ranks.processes import train_in_ranks
from studies.trial.training import Watchers

sys.path.insert(0, sys.argv[1])
train_in_ranks(pickle.loads(sys.stdin.buffer.read()), n_ranks=2, watchers=Watchers())
"""


@pytest.mark.slow
def test_ranks_in_the_middle_of_a_batch_end_with_their_worker(
    tmp_path: Path, notes: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = a_job(tmp_path, Budget("epochs", 9, 9), behaviour="hang", at=7, notes=str(notes))
    users = str(USERS)
    temporary = tmp_path_factory.mktemp("t")  # a socket's path has room for 107 characters
    environment = {**os.environ, "TMPDIR": str(temporary)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, users], stdin=subprocess.PIPE, env=environment)
    assert worker.stdin is not None
    worker.stdin.write(pickle.dumps(job))
    worker.stdin.close()
    deadline = time.monotonic() + 120
    while not (notes / "hangs").exists():
        assert worker.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    deadline = time.monotonic() + SOON_S
    while not are_gone(notes):
        assert time.monotonic() < deadline, "a rank outlives its worker"
        time.sleep(0.05)
    assert not list(temporary.glob("ranks-*"))


def test_what_a_watcher_raises_comes_through_and_ends_the_ranks(tmp_path: Path, notes: Path) -> None:
    def fail(rung: Rung) -> bool:
        raise ConnectionError("the storage is gone")

    with pytest.raises(ConnectionError, match="the storage is gone"):
        train(a_job(tmp_path, Budget("epochs", 9, 9), notes=str(notes)), Watchers(report=fail))
    assert are_gone(notes)


def test_unused_parameters_are_told_with_their_remedy_and_can_be_allowed(tmp_path: Path) -> None:
    budget = Budget("epochs", 1, 1)
    with pytest.raises(TrainingFailed, match="ddp_find_unused_parameters_true"):
        train(a_job(tmp_path, budget, target="user_ranks.SpareParameter"))
    trainer = {"strategy": "ddp_find_unused_parameters_true"}
    training = train(a_job(tmp_path, budget, target="user_ranks.SpareParameter", trainer=trainer))
    assert math.isfinite(training.rungs[0].value)


def test_no_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    train(a_job(tmp_path, Budget("epochs", 1, 1)))
    assert not list((tmp_path / "temporary").glob("ranks-*"))


@pytest.fixture
def plain(make_settings: Callable[..., StudySettings]) -> Callable[..., StudySettings]:
    two = ("launcher=serial", "launcher.devices_per_trial=2")
    return lambda *overrides: make_settings(*two, *overrides, study="plain")


def outcome_of(settings: StudySettings) -> tuple[Outcome, FrozenTrial]:
    study = optuna.create_study()
    outcome = run_trial(study.ask(), settings, seed=3, interrupted=lambda: None)
    return outcome, study.trials[0]


def test_a_trial_of_a_study_on_two_devices_is_recorded_as_such(plain: Callable[..., StudySettings]) -> None:
    outcome, trial = outcome_of(plain())
    assert outcome.state == TrialState.COMPLETE
    assert outcome.attributes[schema.DEVICE] == "2 × cpu"
    assert outcome.attributes[schema.SAMPLES_SEEN] == [100, 200]
    assert outcome.attributes[schema.STEPS] == 10
    assert list(trial.intermediate_values) == [1, 2]


def test_out_of_memory_on_two_devices_is_tried_at_half_the_batch(plain: Callable[..., StudySettings]) -> None:
    hungry = ("model._target_=user_ranks.Hungry", "model.batch_size=20", "+model.fits=10")
    outcome, _ = outcome_of(plain(*hungry))
    assert outcome.state == TrialState.PRUNED
    assert outcome.attributes[schema.FAILURE] is Failure.OUT_OF_MEMORY
    halve = ("out_of_memory.retry=halve_batch", "out_of_memory.batch_size=model.batch_size")
    outcome, trial = outcome_of(plain(*hungry, *halve))
    assert outcome.state == TrialState.COMPLETE
    assert trial.user_attrs[schema.BATCH_HALVED] == {"batch_size": 10, "accumulate_grad_batches": 2}
    assert outcome.attributes[schema.STEPS] == 6  # 50 samples a rank and epoch: 5 batches, in pairs


def test_several_devices_a_trial_make_another_study(plain: Callable[..., StudySettings]) -> None:
    one = plain("launcher.devices_per_trial=1")
    changed = {
        key for key in {*identity(one), *identity(plain())} if identity(one).get(key) != identity(plain()).get(key)
    }
    assert changed == {"launcher.devices_per_trial"}


def test_a_fork_server_that_is_killed_before_it_starts_a_rank_is_no_error_of_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(ForkServerProcess, "start", killed)
    with pytest.raises(TrainingFailed, match="rank 0 of 2 could not be started") as caught:
        train(a_job(tmp_path, Budget("epochs", 1, 1)))
    assert caught.value.failure is Failure.KILLED
