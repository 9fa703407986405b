"""A selection by the commands as a person types them: the whole way, interrupted, and by two commands at once."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter

import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState
from shell import PLAIN, Shell

from studies import schema
from studies.storage.opening import open_existing

RACE = ("select=race", "select.k=3", "select.seeds=3", "select.estimate_seeds=3")


def rounds(shell: Shell) -> dict[str, list[FrozenTrial]]:
    """The trials of each round in the storage."""
    storage = open_existing(f"sqlite:///{shell.folder}/outputs/studies.db")
    names = [name for name in optuna.get_all_study_names(storage) if ".select-" in name]
    return {name: optuna.load_study(study_name=name, storage=storage).trials for name in names}


def check_rounds(shell: Shell) -> None:
    """Each round has trained what it lists, once, and nothing is left over."""
    found = rounds(shell)
    assert len(found) == 2
    for name, trials in found.items():
        run = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        assert len(run) == (3 if "estimate" in name else 9)
        trained = Counter((str(trial.params), trial.user_attrs[schema.SEED]) for trial in run)
        assert set(trained.values()) == {1}
        assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}


@pytest.mark.slow
def test_select_after_a_search_then_retrain_report_and_list(shell: Shell) -> None:
    study = ("+study=digits", "n_trials=4", "budget.amount=1", "analysis=none", "workers=2")
    assert "Best val/accuracy" in shell.run("run", *study)
    output = shell.run("run", *study, *RACE)
    assert "select: 3 configurations × up to 3 seeds, then 3 fresh seeds of the winner: at most 12 trainings" in output
    assert "study digits is finished" in output
    claimed = re.search(
        r"Selected val/accuracy (0\.\d+) \[0\.\d+, \d\.\d+\] \(trial (\d), 3 fresh seeds\), test/accuracy", output
    )
    assert claimed, output
    check_rounds(shell)
    best = yaml.safe_load((shell.folder / "outputs/digits/best.yaml").read_text())
    assert (f"{best['value']:.4f}", best["trial"]) == (claimed[1], int(claimed[2]))
    again = shell.run("report", *study, *RACE)
    assert claimed[0] in again
    retrained = shell.run("retrain", *study, *RACE)
    assert f"training trial {claimed[2]} of study digits" in retrained
    assert f"({claimed[1]} expected, mean of 3 fresh seeds)" in retrained
    listed = shell.run("list")
    assert re.search(r"^digits\n(.*\n)*  digits", listed, re.MULTILINE)


@pytest.mark.slow
def test_a_module_without_a_test_part_is_selected_by_its_own_metric(shell: Shell) -> None:
    output = shell.run("run", *PLAIN, *RACE, "launcher=serial")
    assert re.search(
        r"Selected val_loss \d\.\d+ \[-?\d\.\d+, \d\.\d+\] \(trial \d, 3 fresh seeds\); the search's best", output
    )
    check_rounds(shell)
    report = (shell.folder / "outputs/plain/report.md").read_text()
    assert "It was not tested: the module has no test part." in report


@pytest.mark.slow
def test_two_commands_at_once_do_the_same_rounds(shell: Shell) -> None:
    both = [shell.start("run", *PLAIN, *RACE, "workers=2", "model.sleep_s=0.02") for _ in range(2)]
    outputs = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    check_rounds(shell)
    claims = [re.search(r"Selected val_loss .*", output) for output in outputs]
    assert claims[0] is not None
    assert claims[1] is not None
    assert claims[0][0] == claims[1][0]


@pytest.mark.slow
def test_an_interrupted_selection_goes_on_with_the_same_command(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, *RACE, "workers=2", "model.sleep_s=0.05")
    deadline = time.monotonic() + 120
    while not any(t.state == TrialState.RUNNING for trials in _started(shell).values() for t in trials):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "nothing is selected yet" in output
    assert "Selected val_loss" in shell.run("run", *PLAIN, *RACE, "workers=2", "model.sleep_s=0.05")
    check_rounds(shell)


def _started(shell: Shell) -> dict[str, list[FrozenTrial]]:
    return rounds(shell) if (shell.folder / "outputs/plain/select").exists() else {}


@pytest.mark.slow
def test_no_round_begins_once_the_time_is_up(shell: Shell) -> None:
    shell.run("run", *PLAIN, "launcher=serial")
    output = shell.run("run", *PLAIN, *RACE, "launcher=serial", "timeout_s=0.000001")
    assert "the time is up: the same command goes on with the selection" in output
    assert "nothing is selected yet; the same command goes on" in output
    assert all(trials == [] for trials in rounds(shell).values())
    assert "Selected val_loss" in shell.run("run", *PLAIN, *RACE, "launcher=serial")


@pytest.mark.slow
def test_after_stop_at_what_was_completed_races(shell: Shell) -> None:
    output = shell.run("run", *PLAIN, *RACE, "launcher=serial", "n_trials=50", "stop_at=1000")
    assert "a trial has reached stop_at=1000" in output
    assert "Selected val_loss" in output
    assert len(shell.trials("plain")) == 1
