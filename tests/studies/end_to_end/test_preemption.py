"""Workers and commands that are told to stop, or are killed, in the middle of real training."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from shell import TIMEOUT_S, Shell, running, trained, worker_of

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.slots import read_slots

pytestmark = pytest.mark.slow
DIGITS = (
    "+study=digits",
    "trainer.accelerator=cpu",
    "sampler=random",
    "pruner=none",
    "n_trials=4",
    "budget.amount=100",
)
SMALL = ("search_space=lr_batch_size", "~search_space.batch_size", "model.network.dropout=0.2")
STUDY = (*DIGITS, *SMALL, "workers=2", "analysis=none", "launcher.threads_per_worker=1")


def is_under_way(trials: list[FrozenTrial]) -> bool:
    """Two trials have reached their 20th rung and saved something."""
    far = [t for t in running(trials) if len(t.intermediate_values) > 20 and schema.CHECKPOINT in t.user_attrs]
    return len(far) == 2


def finished(shell: Shell, name: str) -> list[FrozenTrial]:
    return [slot.last for slot in read_slots(shell.trials(name), 4)]


def retries_in(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trained(trials) if schema.RETRY_OF in trial.user_attrs]


def files(shell: Shell, name: str) -> list[Path]:
    return [path for path in (shell.folder / "outputs" / name / "trials").rglob("*") if path.is_file()]


def test_a_worker_that_is_killed_loses_no_more_than_since_its_last_checkpoint(shell: Shell) -> None:
    shell.run("run", *STUDY, "study_name=undisturbed")
    process = shell.start("run", *STUDY, "checkpoint.every_s=0.2")
    victim = running(shell.wait_for("digits", is_under_way))[0]
    os.kill(worker_of(victim), signal.SIGKILL)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = shell.trials("digits")
    (killed,) = [trial for trial in trials if failure_of(trial) == Failure.KILLED]
    (retry,) = retries_in(trials)
    told = retry.user_attrs[schema.RESUMED_FROM]
    assert told["trial"] == killed.number
    assert told["rung"] >= 10
    assert told["exact"]
    whole = {trial.params["lr"]: trial for trial in finished(shell, "undisturbed")}
    assert {trial.params["lr"]: trial.value for trial in finished(shell, "digits")} == {
        lr: trial.value for lr, trial in whole.items()
    }
    assert retry.intermediate_values == whole[retry.params["lr"]].intermediate_values
    (best,) = files(shell, "digits")
    assert str(best) in (shell.folder / "outputs" / "digits" / "best.yaml").read_text()
    assert f"best model: {best.relative_to(shell.folder)}" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_command_that_is_told_to_stop_saves_leaves_and_goes_on_when_started_again(
    shell: Shell, number: signal.Signals
) -> None:
    """The signal goes to all its processes, as that of a batch system or a terminal."""
    process = shell.start("run", *STUDY)
    shell.wait_for("digits", lambda trials: len([t for t in running(trials) if len(t.intermediate_values) > 5]) == 2)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f"interrupted ({number.name})" in output
    assert "died" not in output
    released = shell.trials("digits")
    assert {trial.state for trial in released} <= {TrialState.FAIL, TrialState.COMPLETE}
    failed = [trial for trial in trained(released) if trial.state == TrialState.FAIL]
    assert len(failed) == 2
    assert all(trial.user_attrs[schema.FAILURE_MESSAGE].startswith("interrupted (SIG") for trial in failed)
    assert all(trial.user_attrs[schema.CHECKPOINT]["exact"] for trial in failed)
    shell.run("run", *STUDY)
    gone_on = {trial.user_attrs[schema.RESUMED_FROM]["trial"] for trial in retries_in(shell.trials("digits"))}
    assert gone_on == {trial.number for trial in failed}
    assert all(trial.state == TrialState.COMPLETE for trial in finished(shell, "digits"))
    assert len(files(shell, "digits")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_worker_alone_that_is_told_to_stop_leaves_its_trial_to_the_next(shell: Shell, number: signal.Signals) -> None:
    process = shell.start("run", *STUDY)
    victim = running(shell.wait_for("digits", lambda trials: len(running(trials)) == 2))[0]
    os.kill(worker_of(victim), number)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = shell.trials("digits")
    (released,) = [trial for trial in trained(trials) if trial.state == TrialState.FAIL]
    assert released.user_attrs[schema.FAILURE_MESSAGE] == f"interrupted ({number.name})"
    (retry,) = retries_in(trials)
    if schema.CHECKPOINT in released.user_attrs:  # else the signal came before the first batch
        assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == released.number
    assert all(trial.state == TrialState.COMPLETE for trial in finished(shell, "digits"))


def test_everything_is_killed_in_the_middle_and_the_same_command_goes_on_from_the_checkpoints(shell: Shell) -> None:
    process = shell.start("run", *STUDY, "checkpoint.every_s=0.2")
    workers = [worker_of(trial) for trial in running(shell.wait_for("digits", is_under_way))]
    for pid in (process.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    shell.run("run", *STUDY)
    retries = retries_in(shell.trials("digits"))
    assert len(retries) == 2
    assert all(trial.user_attrs[schema.RESUMED_FROM]["rung"] >= 10 for trial in retries)
    assert all(trial.state == TrialState.COMPLETE for trial in finished(shell, "digits"))
    assert len(files(shell, "digits")) == 1
