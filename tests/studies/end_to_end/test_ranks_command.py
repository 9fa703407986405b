"""Studies whose trials are trained by two processes each, run as a person runs them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from shell import PLAIN, TIMEOUT_S, Shell, running, worker_of

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.slots import read_slots

TWO = ("launcher.devices_per_trial=2", "workers=1")
SLOW = (*PLAIN, *TWO, "model._target_=user_ranks.OnOneRank", "model.sleep_s=0.05", "budget.amount=6")
SOON_S = 20.0


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def ranks_of(worker: int) -> list[int]:
    """The processes that the worker's own fork server has begun, in order."""
    return [rank for child in children(worker) for rank in children(child)]


def wait_until_training(shell: Shell, *, n_begun: int) -> tuple[int, list[int]]:
    """The worker and its ranks, once the latest trial has reported."""
    trials = shell.wait_for("plain", lambda ts: len(ts) >= n_begun and any(t.intermediate_values for t in running(ts)))
    worker = worker_of(running(trials)[0])
    ranks = ranks_of(worker)
    assert len(ranks) == 2
    return worker, ranks


def wait_for_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + SOON_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "ranks are left over"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_rank_and_a_killed_worker_cost_one_attempt_each_and_leave_nothing_behind(shell: Shell) -> None:
    process = shell.start("run", *SLOW, "n_trials=4", f"+model.notes={shell.folder}")
    worker, ranks = wait_until_training(shell, n_begun=1)
    os.kill(ranks[1], signal.SIGKILL)
    shell.wait_for("plain", lambda trials: trials[0].state == TrialState.FAIL)
    wait_for_the_end_of(ranks)
    same_worker, ranks = wait_until_training(shell, n_begun=2)
    assert same_worker == worker
    os.kill(worker, signal.SIGKILL)
    wait_for_the_end_of(ranks)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = shell.trials("plain")
    assert [slot.last.state for slot in read_slots(trials, 4)] == [TrialState.COMPLETE] * 4
    by_rank, by_worker = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert failure_of(by_rank) == failure_of(by_worker) == Failure.KILLED
    assert by_rank.user_attrs[schema.FAILURE_MESSAGE] == "rank 1 of 2 died (SIGKILL)"
    assert f"{worker} died" in by_worker.user_attrs[schema.FAILURE_MESSAGE]
    assert by_worker.params == by_rank.params
    assert trials[-1].user_attrs[schema.DEVICE_SLOT].endswith("2 processes a trial")
    assert trials[-1].user_attrs[schema.DEVICE] == "2 × cpu"
    assert "a step takes 2 × its batch size" in output
    (path,) = (shell.folder / "outputs" / "plain" / "logs").glob("*/worker-0.log")
    log = path.read_text()
    assert "val_loss differs between ranks" in log
    assert "sync_dist=True" in log


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True], ids=["the command", "all processes"])
def test_sigterm_frees_the_trial_and_ends_the_ranks_within_seconds(shell: Shell, to_all: bool) -> None:
    notes = f"+callbacks.end={{_target_: user_ranks.NotesItsEnd, notes: {shell.folder}}}"
    process = shell.start("run", *SLOW, "n_trials=4", "budget.amount=500", notes)
    _, ranks = wait_until_training(shell, n_begun=1)
    os.killpg(process.pid, signal.SIGTERM) if to_all else process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)  # the study would take many minutes
    assert process.returncode == 130, output
    wait_for_the_end_of(ranks)
    (trial,) = shell.trials("plain")
    assert trial.user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGTERM)"
    ends = [(shell.folder / f"rank-{rank}.end").read_text() for rank in (0, 1)]
    assert ends[0].startswith("SIGTERMException ")
    assert ends[0] == ends[1], "at the same step, so that they can save together"


@pytest.mark.slow
def test_a_trial_whose_rank_is_killed_is_gone_on_with_from_its_last_rung(shell: Shell) -> None:
    sync = ("+model.sync=true", "n_trials=1")
    shell.run("run", *SLOW, *sync, "study_name=undisturbed", "model.sleep_s=0")
    process = shell.start("run", *SLOW, *sync, "checkpoint.every_s=1e-9")

    def has_saved_rungs(trials: list[FrozenTrial]) -> bool:
        return any(len(t.intermediate_values) >= 2 and schema.CHECKPOINT in t.user_attrs for t in running(trials))

    trials = shell.wait_for("plain", has_saved_rungs)
    os.kill(ranks_of(worker_of(running(trials)[0]))[1], signal.SIGKILL)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    killed, retry = shell.trials("plain")
    assert killed.user_attrs[schema.FAILURE_MESSAGE] == "rank 1 of 2 died (SIGKILL)"
    told = retry.user_attrs[schema.RESUMED_FROM]
    assert told["trial"] == killed.number
    assert told["rung"] >= 1
    assert told["exact"]
    (whole,) = shell.trials("undisturbed")
    assert retry.state == TrialState.COMPLETE
    assert retry.user_attrs[schema.STEPS] == whole.user_attrs[schema.STEPS]
    assert retry.user_attrs[schema.SAMPLES_SEEN] == whole.user_attrs[schema.SAMPLES_SEEN]
    assert (retry.params, retry.intermediate_values) == (whole.params, whole.intermediate_values)


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_has_its_ranks_save_first(shell: Shell) -> None:
    process = shell.start("run", *SLOW, "n_trials=1", "budget.amount=30")
    worker, ranks = wait_until_training(shell, n_begun=1)
    os.kill(worker, signal.SIGTERM)
    wait_for_the_end_of([worker, *ranks])
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    released, retry = shell.trials("plain")
    assert released.user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGTERM)"
    assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == released.number
    assert retry.state == TrialState.COMPLETE
    assert list(retry.intermediate_values) == list(range(1, 31))
    assert len(list((shell.folder / "outputs" / "plain" / "trials").rglob("*.ckpt"))) == 1


@pytest.mark.slow
def test_ranks_that_cannot_train_together_are_found_before_the_study_begins(shell: Shell) -> None:
    output = shell.run("check", *PLAIN, *TWO, "model._target_=user_ranks.SpareParameter", code=2)
    assert "launcher.devices_per_trial is 2, and so many processes fail in two batches" in output
    assert "trainer.strategy=ddp_find_unused_parameters_true" in output


@pytest.mark.slow
def test_a_search_with_pruning_on_two_devices_a_trial(shell: Shell) -> None:
    output = shell.run("run", "+study=digits", *TWO, "n_trials=16", "seed=1")
    assert "16 of 16 trials finished" in output
    trials = shell.trials("digits")
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(trials) == 16
    assert pruned
    assert all(failure_of(trial) is None for trial in pruned)
    assert all(len(trial.intermediate_values) < 3 for trial in pruned)
    assert max(trial.value or 0.0 for trial in trials) > 0.85
    alone = shell.run("retrain", "+study=digits", *TWO, "n_trials=16", "seed=1")
    assert "the study trained on 2 devices at once. Here one device takes 2 batches a step instead" in alone
