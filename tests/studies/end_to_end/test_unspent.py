"""No command ends well with its budget unspent, unless it was told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage
from shell import USERS

from studies.cli import reports
from studies.cli.console import make_console
from studies.cli.session import CommandClock, RunOutcome, Session
from studies.cli.study_run import search
from studies.config.composing.configs import compose
from studies.config.settings import StudySettings
from studies.errors import StudyStopped
from studies.launch import serial
from studies.process.signals import StopSignals
from studies.run import run

MakeSettings = Callable[..., StudySettings]
RunIt = Callable[..., RunOutcome]
LEFT = r"no worker is left and 0 of 3 trials are finished: run the same command again"


@pytest.fixture
def run_it(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> RunIt:
    """Search with a worker that leaves without a trial, and return why the search ended."""
    monkeypatch.setattr(serial, "work", lambda *_, **__: None)
    monkeypatch.setattr(StopSignals, "install", lambda self: self)  # the test's own process keeps its handlers
    settings = make_settings("launcher=serial", "n_trials=3", "timeout_s=60", study="plain")

    def run(signals: StopSignals, begun: datetime | None = None) -> RunOutcome:
        return search(Session(settings, make_console(), signals, CommandClock(begun), InMemoryStorage()))[1]

    return run


def test_workers_that_all_leave_before_the_budget_is_spent_are_told(run_it: RunIt) -> None:
    with pytest.raises(StudyStopped, match=LEFT):
        run_it(StopSignals())


def test_a_time_that_is_up_is_a_reason(run_it: RunIt) -> None:
    assert run_it(StopSignals(), datetime.now(UTC) - timedelta(seconds=61)) is RunOutcome.OUT_OF_TIME


def test_a_signal_is_a_reason(run_it: RunIt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopSignals, "reason", lambda self: signal.SIGTERM.name)
    assert run_it(StopSignals()) is RunOutcome.INTERRUPTED


def test_a_report_that_fails_does_not_hide_why_the_study_has_stopped(
    run_it: RunIt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_ink(*_: object, **__: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(reports, "write_report", no_ink)
    places = (f"output_dir={tmp_path}/out", f"storage.url=sqlite:///{tmp_path}/s.db")
    config = compose(["+study=plain", "launcher=serial", "n_trials=3", *places], config_dirs=[str(USERS / "conf")])
    with pytest.raises(StudyStopped, match=LEFT):
        run(config)
    assert "the report could not be written (RuntimeError: no ink)" in capsys.readouterr().out
