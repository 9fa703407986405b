"""What the tests' private servers share: a folder, a free port on loopback, a process that is started and ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pytest

USER = "studies"
PASSWORD = "pa55:w/ord@{x}"  # whatever is special in a URL or in a template
START_S = 60.0
STOP_S = 60.0


def missing(service: str, package: str) -> None:
    """Skip the test that needs `service`, or fail it where services are required."""
    message = f"{service} is not installed (Debian package {package})"
    if os.environ.get("STUDIES_SERVICES") == "required":
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def account(name: str) -> dict[str, Any]:
    """Keyword arguments that run a process as the system account `name`, since servers refuse to run as root."""
    return {"user": name, "group": name, "extra_groups": []} if os.geteuid() == 0 else {}


class Server(ABC):
    """A private database server; a context manager. `port` stays the same over its restarts."""

    stop_signal = signal.SIGTERM

    def __init__(self, *, account_name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="studies-server-"))
        self.account = account(account_name)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if self.account:
            shutil.chown(self.folder, account_name, account_name)

    def __enter__(self) -> Self:
        try:
            self.install()
            self.start()
            self.admit_user()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @abstractmethod
    def install(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """What runs the server in the foreground."""

    @abstractmethod
    def execute(self, statement: str) -> list[Any]:
        """Run one statement as the administrator. Raises where the server cannot be reached."""

    @abstractmethod
    def admit_user(self) -> None:
        """Make the account that the tests use."""

    @property
    @abstractmethod
    def scheme(self) -> str:
        """The first word of the server's URLs."""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.account
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception:  # noqa: BLE001 - the drivers have no common class; it is not up yet
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-3000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server; its clients lose their connections. `start` brings it back with all it held."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the server without any farewell."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.create_database(name)
        return self.url(name)

    def create_database(self, name: str) -> None:
        self.execute(f"CREATE DATABASE {name}")

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        return f"{self.scheme}://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
