"""What a study survives: killed workers, a killed command, Ctrl-C, a lost storage."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from shell import PLAIN, TIMEOUT_S, Shell, is_alive, running, trained, worker_of

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.opening import open_storage
from studies.storage.slots import read_slots


@pytest.mark.slow
def test_four_workers_spend_the_budget_exactly_and_a_killed_one_is_replaced(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, "n_trials=24", "workers=4", "model.sleep_s=0.02")
    victim = worker_of(running(shell.wait_for("plain", lambda trials: len(running(trials)) >= 3))[0])
    os.kill(victim, signal.SIGKILL)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = shell.trials("plain")
    slots = read_slots(trials, 24)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * 24
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 24
    (killed,) = [trial for trial in trials if failure_of(trial) == Failure.KILLED]
    assert worker_of(killed) == victim
    assert f"{victim} died" in killed.user_attrs[schema.FAILURE_MESSAGE]
    (retry,) = [trial for trial in trials if trial.user_attrs.get(schema.RETRY_OF) == killed.number]
    assert retry.params == killed.params
    assert "24 of 24 trials finished" in output


@pytest.mark.slow
def test_when_everything_is_killed_the_same_command_goes_on(shell: Shell) -> None:
    arguments = (*PLAIN, "n_trials=8", "workers=2", "model.sleep_s=0.05")
    process = shell.start("run", *arguments)
    trials = shell.wait_for("plain", lambda trials: len(running(trials)) == 2 and len(trials) > 3)
    workers = [worker_of(trial) for trial in running(trials)]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlive the command that started them"
        time.sleep(0.1)
    output = shell.run("run", *arguments)
    assert "8 of 8 trials finished" in output
    trials = shell.trials("plain")
    assert Counter(slot.last.state for slot in read_slots(trials, 8)) == {TrialState.COMPLETE: 8}
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_free_the_trials_report_and_leave(shell: Shell, number: signal.Signals) -> None:
    process = shell.start("run", *PLAIN, "n_trials=50", "workers=2", "model.sleep_s=0.05", "budget.amount=20")
    shell.wait_for("plain", lambda trials: len(running(trials)) == 2)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    output, _ = process.communicate(timeout=60)  # the study would take many minutes
    assert process.returncode == 130, output
    trials = shell.trials("plain")
    assert {failure_of(trial) for trial in trained(trials) if trial.state == TrialState.FAIL} == {Failure.KILLED}
    assert not running(trials)
    assert "of 50 trials finished" in output
    assert re.search(r"interrupted \(SIG(INT|TERM)\)", output)


@pytest.mark.slow
def test_ctrl_c_during_a_batch_of_seconds_still_frees_the_trials_properly(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, "workers=2", "model.sleep_s=3")
    shell.wait_for("plain", lambda trials: len(running(trials)) == 2)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    messages = {trial.user_attrs[schema.FAILURE_MESSAGE] for trial in trained(shell.trials("plain"))}
    assert messages == {"interrupted (SIGTERM)"}


@pytest.mark.parametrize("after_s", [0.0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1.5, 4.0))])
def test_ctrl_c_before_anything_trains_leaves_without_a_traceback(shell: Shell, after_s: float) -> None:
    """While the fork server loads torch, and while the first batch is tried."""
    process = shell.start("run", *PLAIN, "model._target_=user_modules.SlowToSetUp")
    assert process.stdout is not None
    assert "loading torch" in process.stdout.readline()
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=25)  # the module takes longer to set up
    assert process.returncode == 130, output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_storage_that_is_lost_in_mid_study_ends_in_one_message(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, "n_trials=100", "workers=2", "model.sleep_s=0.05")
    shell.wait_for("plain", lambda trials: len(running(trials)) == 2)
    for name in ("studies.db", "studies.db-wal"):  # -shm is mapped: cutting it short is SIGBUS for who reads it
        with (shell.folder / "outputs" / name).open("r+b") as file:
            file.write(b"no database any more " * 1000)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "error: the storage failed: " in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_what_a_lost_machine_left_is_freed_while_all_workers_are_busy(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, "n_trials=4", "workers=1", "model.sleep_s=1", "storage.lease_s=2")
    shell.wait_for("plain", lambda trials: len(running(trials)) == 1)
    url = f"sqlite:///{shell.folder}/outputs/studies.db"
    study = optuna.load_study(study_name="plain", storage=open_storage(url))
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={schema.WORKER: "lost:0:0:1"}))
    trials = shell.wait_for("plain", lambda trials: any(failure_of(t) is Failure.KILLED for t in trials))
    assert [trial.number for trial in running(trials)] == [0]
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output


@pytest.mark.slow
def test_crashing_workers_stop_the_study_with_a_clear_message(shell: Shell) -> None:
    output = shell.run("run", *PLAIN, "workers=1", "model.behaviour=kill", "model.at=3", "max_failures=2", code=1)
    assert re.search(r"the last 2 trials .* all ended in killed|workers died", output)
    assert "outputs/plain/report.md" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_configuration_that_kills_its_workers_is_marked_and_not_the_study(shell: Shell) -> None:
    deadly = ("model.behaviour=kill", "model.above=0.02", "max_retries=2", "max_failures=3")
    output = shell.run("run", *PLAIN, "n_trials=8", "workers=2", *deadly)
    assert "8 of 8 trials finished" in output
    trials = shell.trials("plain")
    killed = [trial for trial in trials if failure_of(trial) == Failure.KILLED]
    assert {trial.params["lr"] > 0.02 for trial in killed} == {True}
    assert set(Counter(trial.params["lr"] for trial in killed).values()) == {3}
    assert [slot.last.state for slot in read_slots(trials, 8)] == [TrialState.COMPLETE] * 8


@pytest.mark.slow
def test_a_command_that_has_nothing_more_to_do_frees_what_a_dead_worker_left(shell: Shell) -> None:
    arguments = (*PLAIN, "n_trials=6", "workers=2", "model.sleep_s=0.05", "budget.amount=20")
    process = shell.start("run", *arguments)
    (*_, worker) = {worker_of(trial) for trial in running(shell.wait_for("plain", lambda t: len(running(t)) == 2))}
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    shell.run("run", *arguments, "timeout_s=0.001")
    assert not running(shell.trials("plain"))
