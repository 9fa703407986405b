"""A private MariaDB server from Debian's packages."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import Any

from services.server import PASSWORD, USER, Server, missing


class MariaDB(Server):
    """Listens on loopback and on a socket in its own folder."""

    scheme = "mysql"

    def __init__(self, server: str, installer: str) -> None:
        super().__init__(account_name="mysql")
        self._server = server
        self._installer = installer

    def install(self) -> None:
        command = [self._installer, "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db"]
        command += ["--auth-root-authentication-method=normal"]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, **self.account)

    def command(self) -> list[str]:
        options = {"datadir": self.folder / "data", "socket": self.folder / "socket", "pid-file": self.folder / "pid"}
        options |= {"port": self.port, "bind-address": "127.0.0.1", "innodb-flush-log-at-trx-commit": 2}
        return [self._server, "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]

    def execute(self, statement: str) -> list[Any]:
        import pymysql

        entry = socket.socket(socket.AF_UNIX)  # PyMySQL would not close its own where nobody listens
        try:
            entry.connect(str(self.folder / "socket"))
        except OSError:
            entry.close()
            raise
        connection = pymysql.connect(user="root", autocommit=True, defer_connect=True)
        connection.connect(entry)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def admit_user(self) -> None:
        self.execute(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
        self.execute(f"GRANT ALL ON `test\\_%`.* TO {USER}@'%'")


def mariadb() -> MariaDB:
    """A server that is not started yet; skips the test where there is none."""
    try:
        import pymysql  # noqa: F401
    except ImportError:
        missing("PyMySQL", "none: pip install 'lightning-studies[mysql]'")
    path = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
    server, installer = (shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db"))
    if server is None or installer is None:
        missing("MariaDB", "mariadb-server")
    return MariaDB(str(server), str(installer))
