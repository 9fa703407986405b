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
from studies.config.composing.configs import compose
from studies.config.settings import StudySettings
from studies.errors import StudyStopped
from studies.launch import serial
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.run import run, search

MakeSettings = Callable[..., StudySettings]
LEFT = r"no worker is left and 0 of 3 trials are finished: run the same command again"


@pytest.fixture
def run_it(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Search with a worker that leaves without a trial; return whether a signal is told."""
    monkeypatch.setattr(serial, "work", lambda *_, **__: None)
    monkeypatch.setattr(StopSignals, "install", lambda self: self)  # the test's own process keeps its handlers
    settings = make_settings("launcher=serial", "n_trials=3", study="plain")

    def run(signals: StopSignals, deadline: Deadline | None = None) -> bool:
        return search(settings, InMemoryStorage(), make_console(), signals=signals, deadline=deadline)[2]

    return run


def test_workers_that_all_leave_before_the_budget_is_spent_are_told(run_it: Callable[..., bool]) -> None:
    with pytest.raises(StudyStopped, match=LEFT):
        run_it(StopSignals())


def test_a_time_that_is_up_is_a_reason(run_it: Callable[..., bool]) -> None:
    now = datetime.now(UTC)
    assert run_it(StopSignals(), Deadline(now, now - timedelta(seconds=1))) is False


def test_a_signal_is_a_reason(run_it: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopSignals, "reason", lambda self: signal.SIGTERM.name)
    assert run_it(StopSignals()) is True


def test_a_report_that_fails_does_not_hide_why_the_study_has_stopped(
    run_it: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_ink(*_: object, **__: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(reports, "write_report", no_ink)
    places = (f"output_dir={tmp_path}/out", f"storage.url=sqlite:///{tmp_path}/s.db")
    config = compose(["+study=plain", "launcher=serial", "n_trials=3", *places], config_dirs=[str(USERS / "conf")])
    with pytest.raises(StudyStopped, match=LEFT):
        run(config)
    assert "the report could not be written (RuntimeError: no ink)" in capsys.readouterr().out
