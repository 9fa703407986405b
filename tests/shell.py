"""A folder in which commands are run as a person types them, each in a process of its own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.cli import command as command_line
from studies.storage.opening import open_existing

USERS = Path(__file__).parent / "studies" / "users"
TIMEOUT_S = 240
PLAIN = ("--config-dir", str(USERS / "conf"), "+study=plain")


class Shell:
    """A folder in which commands are run, with one data folder for all tests."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        (folder / "data").symlink_to(data)
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(USERS), os.environ.get("PYTHONPATH", "")])}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"studies.{command}", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        output, _ = (process := self.start(command, *arguments)).communicate(timeout=TIMEOUT_S)
        assert process.returncode == code, output
        return output

    def close(self) -> None:
        """End what was started and still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def trials(self, study: str) -> list[FrozenTrial]:
        storage = open_existing(f"sqlite:///{self.folder}/outputs/studies.db")
        return optuna.load_study(study_name=study, storage=storage).trials

    def wait_for(self, study: str, condition: Callable[[list[FrozenTrial]], bool]) -> list[FrozenTrial]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if any((self.folder / "outputs" / study / "logs").glob("*/worker-*.log")):  # the study is there by then
                trials = self.trials(study)
                if condition(trials):
                    return trials
            time.sleep(0.1)
        raise AssertionError("what was waited for did not happen")

    def wait_for_log(self, study: str, pattern: str, text: str) -> Path:
        """The first log of the study, by its path below the folder of logs, that holds `text`."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for log in sorted((self.folder / "outputs" / study / "logs").glob(pattern)):
                if text in log.read_text():
                    return log
            time.sleep(0.1)
        raise AssertionError(f"no log {pattern} told: {text}")


class InProcess(Shell):
    """A folder in which commands are run in this process: at once, for what needs no process of its own."""

    def __init__(
        self, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        super().__init__(folder, data)
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(USERS))
        monkeypatch.setenv("PYTHONPATH", self.environment["PYTHONPATH"])
        monkeypatch.setattr(command_line, "exits_in_time", lambda tell: nullcontext())

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        self._monkeypatch.setattr(sys, "argv", [command, *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"studies.{command}").main()
        shown = self._capsys.readouterr()
        assert ended.value.code == code, shown
        return shown.out + shown.err


def worker_of(trial: FrozenTrial) -> int:
    return int(trial.user_attrs[schema.WORKER].rpartition(":")[2])


def trained(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """All but the rows that a second worker leaves now and then, which claimed one trial too many and train nothing."""
    return [trial for trial in trials if schema.VOID not in trial.user_attrs]


def running(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if t.state == TrialState.RUNNING and schema.WORKER in t.user_attrs and t.params]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
