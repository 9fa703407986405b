"""A budget in seconds of device time, whatever became of the trials."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from shell import PLAIN, Shell
from trainings import run

from studies import schema
from studies.config.settings import StudySettings
from studies.reporting.sections.endings import trials_csv
from studies.schema import Failure
from studies.storage.stopping import stopping_of

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
NOW = datetime(2026, 1, 1, 12)


def trial(state: TrialState, *, begun_s: float, took_s: float | None = None, **attributes: Any) -> FrozenTrial:
    made = create_trial(state=state, value=1.0 if state == TrialState.COMPLETE else None, user_attrs=attributes)
    made.datetime_start = NOW - timedelta(seconds=begun_s)
    made.datetime_complete = None if took_s is None else made.datetime_start + timedelta(seconds=took_s)
    return made


def used(make_settings: MakeSettings, *trials: FrozenTrial, more: tuple[str, ...] = ()) -> float:
    return stopping_of(make_settings("storage.lease_s=60", *more)).device_time.used(trials, now=NOW)


def test_every_trial_counts_however_it_ended(make_settings: MakeSettings) -> None:
    ended = [
        trial(state, begun_s=100, took_s=10) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    ]
    assert used(make_settings, *ended[:2]) == 20
    interrupted = {schema.FAILURE: Failure.KILLED, schema.FAILURE_MESSAGE: f"{schema.INTERRUPTED} (SIGTERM)"}
    failed = trial(TrialState.FAIL, begun_s=100, took_s=30, **{schema.FAILURE: Failure.ERROR})
    assert used(make_settings, failed, trial(TrialState.FAIL, begun_s=100, took_s=30, **interrupted)) == 60
    assert used(make_settings, trial(TrialState.FAIL, begun_s=9, took_s=9, **{schema.VOID: True})) == 0


def test_trials_csv_tells_what_each_trial_counts(make_settings: MakeSettings, tmp_path: Path) -> None:
    """More than the seconds of its training: a trial holds its device while its module is built, too."""
    trials = [trial(TrialState.COMPLETE, begun_s=100, took_s=took_s, seconds=1.0) for took_s in (2.25, 4.5)]
    for number, made in enumerate(trials):
        made.number = number
    settings = make_settings("storage.lease_s=60")
    (tmp_path / "t.csv").write_text(
        trials_csv(trials, device_seconds=stopping_of(settings).device_time.of_each(trials)), newline=""
    )
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seconds"], row["device_seconds"]) for row in rows] == [("1.0", "2.25"), ("1.0", "4.5")]
    assert sum(float(row["device_seconds"]) for row in rows) == stopping_of(settings).device_time.used(trials)


def test_what_runs_counts_up_to_now(make_settings: MakeSettings) -> None:
    assert used(make_settings, trial(TrialState.RUNNING, begun_s=15)) == 15


def test_a_trial_of_two_devices_counts_twice(make_settings: MakeSettings) -> None:
    two = ("launcher.devices_per_trial=2",)
    assert used(make_settings, trial(TrialState.COMPLETE, begun_s=50, took_s=10), more=two) == 20


def test_a_worker_that_died_held_its_device_no_longer_than_it_gave_signs_of_life(make_settings: MakeSettings) -> None:
    """Found out a day later, by the next command."""
    day = 86_400.0
    killed = {schema.FAILURE: Failure.KILLED, schema.FAILURE_MESSAGE: "worker x died", schema.LEASE: 3}
    assert used(make_settings, trial(TrialState.FAIL, begun_s=day, took_s=day, **killed)) == 80
    assert used(make_settings, trial(TrialState.RUNNING, begun_s=day, **{schema.LEASE: 3})) == 80
    assert used(make_settings, trial(TrialState.RUNNING, begun_s=day)) == 20


def test_no_trial_begins_once_the_device_time_is_used_and_more_goes_on(make_settings: MakeSettings) -> None:
    def asked(limit_s: float, n_trials: int = 40) -> StudySettings:
        slow = ("launcher=serial", "model.sleep_s=0.01", f"n_trials={n_trials}")
        return make_settings(*slow, f"device_seconds={limit_s}", study="plain")

    first = stopping_of(asked(1)).device_time.used(
        run(asked(1e9, n_trials=1))
    )  # the first trial of a process takes longer
    limit = first + 0.5
    trials, settings = run(asked(limit)), asked(limit)
    assert 1 < len(trials) < 40
    assert stopping_of(settings).device_time.used(trials[:-1]) < limit <= stopping_of(settings).device_time.used(trials)
    assert trials[-1].state == TrialState.COMPLETE, "what runs comes to its end"
    assert len(run(asked(limit))) == len(trials)
    assert len(run(asked(limit + 3))) > len(trials)


@pytest.mark.slow
def test_the_command_tells_that_the_device_time_is_used_and_goes_on_with_more(shell: Shell) -> None:
    asked = (*PLAIN, "n_trials=40", "model.sleep_s=0.02", "workers=2", "analysis=none")
    output = shell.run("run", *asked, "device_seconds=3")
    assert "of device time are used (device_seconds=3). A higher value goes on" in output
    assert "each trial from its claim to its end, more than its training (column device_seconds" in output
    n = len(shell.trials("plain"))
    assert 2 <= n < 40
    assert "study plain: " in shell.run("run", *asked, "device_seconds=3")
    assert len(shell.trials("plain")) == n
    shell.run("run", *asked, "device_seconds=5")
    assert n < len(shell.trials("plain")) < 40
