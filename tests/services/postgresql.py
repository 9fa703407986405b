"""A private PostgreSQL server from Debian's packages."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from services.server import PASSWORD, USER, Server, missing


class PostgreSQL(Server):
    """Listens on loopback and on a socket in its own folder. The administrator may enter by the socket only."""

    stop_signal = signal.SIGINT  # "fast": the clients are disconnected
    scheme = "postgresql"

    def __init__(self, binaries: Path) -> None:
        super().__init__(account_name="postgres")
        self._binaries = binaries

    def install(self) -> None:
        command = [
            str(self._binaries / "initdb"),
            "--pgdata",
            "data",
            "--username",
            "admin",
            "--no-sync",
            "--no-locale",
        ]
        command += ["--encoding", "UTF8", "--auth-local", "trust", "--auth-host", "scram-sha-256"]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, **self.account)

    def command(self) -> list[str]:
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        options |= {"fsync": "off", "max_connections": 300, "shared_buffers": "32MB", "timezone": "UTC"}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", "data", *flags]

    def execute(self, statement: str) -> list[Any]:
        import psycopg

        place = {"host": str(self.folder), "port": self.port, "user": "admin", "dbname": "postgres"}
        with psycopg.connect(**place, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def admit_user(self) -> None:
        self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def create_database(self, name: str) -> None:
        self.execute(f"CREATE DATABASE {name} OWNER {USER}")

    def kill(self) -> None:
        self._end(signal.SIGQUIT)  # after SIGKILL its children would hold on to the shared memory for a while


def postgresql() -> PostgreSQL:
    """A server that is not started yet; skips the test where there is none."""
    need_psycopg()
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "initdb").exists():
            return PostgreSQL(found)
    on_path = shutil.which("initdb")
    if on_path is None:
        missing("PostgreSQL", "postgresql")
    return PostgreSQL(Path(str(on_path)).parent)


def need_psycopg() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        missing("psycopg", "none: pip install 'lightning-studies[postgresql]'")
