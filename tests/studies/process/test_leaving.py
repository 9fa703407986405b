"""A process in which modules have run ends in time, with the exit code that it would have."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from optuna.trial import TrialState
from shell import PLAIN, Shell, is_alive, worker_of

from studies import schema
from studies.process.leaving import children_ended, descendants

PROGRAM = """
import atexit, subprocess, sys, threading, time
from studies.process import leaving
leaving.GRACE_S = 0.3
{before}
with leaving.{manager}(lambda line: print(line, file=sys.stderr)):
    {inside}
"""
FOR_EVER = "threading.Thread(target=time.sleep, args=(60,), name='for-ever').start()"


def run(inside: str, *, manager: str = "ends_in_time", before: str = "") -> tuple[int, str]:
    program = PROGRAM.format(inside=inside, manager=manager, before=before)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(("ending", "code"), [("pass", 0), ("sys.exit(5)", 5), ("sys.exit('no')", 1), ("1 / 0", 1)])
def test_a_process_does_not_wait_for_a_thread_for_ever(ending: str, code: int) -> None:
    found, told = run(f"{FOR_EVER}; {ending}")
    assert found == code
    assert "without waiting any longer for the threads for-ever" in told


def test_a_process_does_not_wait_for_what_runs_at_its_exit() -> None:
    code, told = run("sys.exit(5)", before="atexit.register(time.sleep, 60)")
    assert code == 5
    assert "without waiting any longer for what runs at its exit" in told


def test_a_thread_that_ends_in_time_is_waited_for_and_nothing_is_told() -> None:
    program = "threading.Thread(target=lambda: (time.sleep(0.1), print('done', file=sys.stderr))).start()"
    assert run(program) == (0, "done\n")


def test_where_no_module_has_run_nothing_is_cut_short() -> None:
    assert run("threading.Thread(target=time.sleep, args=(0.6,)).start()", manager="exits_in_time") == (0, "")


def test_child_processes_that_were_left_are_ended_theirs_too_and_others_are_not() -> None:
    told: list[str] = []
    with subprocess.Popen(["sleep", "60"]) as before:
        with children_ended(told.append):
            left = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 61 & wait; wait"])
            while len(found := descendants(left.pid)) < 1:
                time.sleep(0.01)
        assert left.wait(timeout=5) != 0
        assert not any(is_alive(pid) for pid in found)
        assert before.poll() is None
        before.kill()
    assert len(told) == 1
    assert f"process {left.pid}" in told[0]
    assert "sleep 61" in told[0]


@pytest.mark.slow
def test_a_study_ends_whose_module_leaves_threads_and_children_and_patches(shell: Shell) -> None:
    leaves = (*PLAIN, "n_trials=2", "workers=1", "budget.amount=1", "analysis=none", "model._target_=user_state.Leaves")
    output = shell.run("run", *leaves, "+model.how=thread_and_child", "+model.when=trial")
    assert "2 of 2 trials finished" in output
    log = shell.wait_for_log("plain", "*/worker-0.log", "without waiting any longer for the threads for-ever")
    assert "child processes were left running, and are ended now (sleep 599" in log.read_text()


@pytest.mark.slow
def test_a_copy_of_a_worker_that_a_module_has_forked_trains_nothing(shell: Shell) -> None:
    forks = (*PLAIN, "n_trials=2", "workers=1", "budget.amount=1", "analysis=none", "model._target_=user_state.Leaves")
    assert "2 of 2 trials finished" in shell.run("run", *forks, "+model.how=fork")
    trials = shell.trials("plain")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert len({worker_of(trial) for trial in trials}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["launcher.isolation=process", "+model.how=mse"])
def test_each_trial_has_a_process_of_its_own_where_that_is_asked_for_or_needed(shell: Shell, asked: str) -> None:
    few = (*PLAIN, "n_trials=3", "workers=1", "budget.amount=1", "analysis=none", "model._target_=user_state.Leaves")
    output = shell.run("run", *few, asked)
    trials = shell.trials("plain")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert len({worker_of(trial) for trial in trials}) == 3
    assert "died" not in output
    is_told = (
        "note: 3 trials changed for a whole process what cannot be put back for sure (torch.nn.functional.mse_loss)"
    )
    assert (is_told in output) == (asked == "+model.how=mse")
    assert all((schema.LEFT_CHANGED in trial.user_attrs) == (asked == "+model.how=mse") for trial in trials)
