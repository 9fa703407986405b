"""One contract, several launchers: processes of this machine, a real SLURM, a real Ray cluster of two nodes."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState
from shell import PLAIN, TIMEOUT_S, Shell, running, trained, worker_of

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.slots import read_slots

SLOW = pytest.mark.slow


@pytest.fixture
def launcher(request: pytest.FixtureRequest, shell: Shell) -> tuple[str, ...]:
    """What makes a command of `shell` use the launcher that the test names."""
    name = request.param
    if name == "slurm":
        shell.environment.update(request.getfixturevalue("slurm").environment)
    if name == "ray":
        cluster = request.getfixturevalue("ray_cluster")
        shell.environment.update(cluster.environment)
        return ("launcher=ray", f"launcher.address={cluster.address}", "workers=2")
    return (f"launcher={name}", "workers=1" if name == "serial" else "workers=2")


def exactly_spent(shell: Shell, n_trials: int) -> bool:
    trials = shell.trials("plain")
    slots = read_slots(trials, n_trials)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * n_trials
    assert not [t for t in trials if t.state in (TrialState.RUNNING, TrialState.WAITING)]
    return sum(trial.state == TrialState.COMPLETE for trial in trials) == n_trials


def begun_in_logs(shell: Shell) -> Counter[int]:
    """How often each trial was begun, by the workers' logs."""
    logs = (shell.folder / "outputs/plain/logs").glob("*/worker-*.log")
    return Counter(int(n) for log in logs for n in re.findall(r"trial (\d+) begins", log.read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "slurm", "ray"], indirect=True)
def test_a_killed_worker_is_replaced_the_budget_is_exact_and_each_trial_is_in_a_log_once(
    launcher: tuple[str, ...], shell: Shell
) -> None:
    process = shell.start("run", *PLAIN, *launcher, "n_trials=14", "model.sleep_s=0.05")
    trials = shell.wait_for("plain", lambda trials: bool(running(trials)))
    victim = worker_of(running(trials)[0])
    os.kill(victim, signal.SIGKILL)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    assert exactly_spent(shell, 14)
    trials = shell.trials("plain")
    (killed,) = [trial for trial in trials if failure_of(trial) == Failure.KILLED]
    assert worker_of(killed) == victim
    (retry,) = [trial for trial in trials if trial.user_attrs.get(schema.RETRY_OF) == killed.number]
    assert retry.params == killed.params
    assert re.search(r"worker \d died \(.*\); a new one takes its place", output)
    assert begun_in_logs(shell) == {t.number: 1 for t in trained(trials)}
    assert all(Path(shell.folder, log).is_dir() for log in re.findall(r"logs in (\S+)", output))
    assert "14 of 14 trials finished" in output
    assert {t.user_attrs[schema.DEVICE_SLOT][:8] for t in trials if t.state == TrialState.COMPLETE} <= {
        "worker 0",
        "worker 1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "slurm", "ray"], indirect=True)
def test_ctrl_c_frees_all_trials_within_seconds_and_the_same_command_goes_on(
    launcher: tuple[str, ...], shell: Shell
) -> None:
    arguments = (*PLAIN, *launcher, "n_trials=8", "model.sleep_s=0.05")
    process = shell.start("run", *arguments)
    shell.wait_for("plain", lambda trials: bool(running(trials)))
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "interrupted (SIGINT)" in output
    assert "Traceback" not in output
    trials = shell.trials("plain")
    failed = [trial for trial in trained(trials) if trial.state == TrialState.FAIL]
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]
    assert all(trial.user_attrs[schema.FAILURE_MESSAGE].startswith("interrupted (SIG") for trial in failed)
    assert "8 of 8 trials finished" in shell.run("run", *arguments)
    assert exactly_spent(shell, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    ["serial", "local", pytest.param("slurm", marks=SLOW), pytest.param("ray", marks=SLOW)],
    indirect=True,
)
def test_an_error_that_a_worker_tells_ends_the_command_with_its_message(
    launcher: tuple[str, ...], shell: Shell
) -> None:
    output = shell.run("run", *PLAIN, *launcher, "model.behaviour=raise", "model.at=3", "max_failures=2", code=1)
    assert re.search(r"error: the last 2 trials \(.*\) all ended in error: ValueError: the module is broken", output)
    assert "outputs/plain/report.md" in output
    assert ("Traceback" in output) == ("launcher=serial" in launcher)  # whose log is the terminal
