"""Read an SQLite database without writing anything: an archive, a snapshot, another person's file.

Context: SQLite keeps logs beside a database. A write-ahead log holds changes to be added to the database. The rollback
journal of a killed writer holds changes to be undone. Opening or closing the database would do both in place. Choice:
the first of these ways that works.

1. The file as it is, with all writing forbidden. Not if file or folder are not writable, or a log is left.
2. Read-only (`mode=ro`).
3. As a file that nobody changes (`immutable=1`), if no log is left.
4. A copy of file and logs.

A link is followed first, since the logs lie beside its target. Cost: a copy takes the database's size in the folder for
temporary files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

LOGS = ("-wal", "-journal")
BUSY_S = 5.0  # how long to wait for another process that writes


@dataclass(frozen=True, slots=True)
class Way:
    """A way to read a database."""

    uri: str  # for Python's driver
    copy: Path | None = None  # a folder to be removed afterwards

    @property
    def url(self) -> str:
        """The same for SQLAlchemy, which unquotes once more."""
        file, _, how = self.uri.partition("?")
        return f"sqlite:///{quote(file, safe='/:')}?{how}&uri=true"

    def connect(self) -> sqlite3.Connection:
        """Open a connection that writes nothing."""
        connection = sqlite3.connect(self.uri, uri=True, timeout=BUSY_S)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def remove_copy(self) -> None:
        """Remove the copy, if there is one."""
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)


def way_to_read(path: Path) -> Way:
    """Return the first way that works. Raises `sqlite3.Error` if none does, OSError if the copy fails."""
    path = Path(os.path.realpath(path))
    failure: sqlite3.Error | None = None
    for way in _ways(path):
        try:
            with contextlib.closing(way.connect()) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            way.remove_copy()
            if not isinstance(error, sqlite3.OperationalError) or (_is_busy(error) and _logs(path)):
                raise  # a copy of a database under writing would be torn
            failure = failure or error
        else:
            return way
    assert failure is not None
    raise failure


def _ways(path: Path) -> Iterator[Way]:
    if not _logs(path) and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        yield Way(_uri(path, "mode=rw"))
    yield Way(_uri(path, "mode=ro"))
    logs = _logs(path)
    yield _copied(path, *logs) if logs else Way(_uri(path, "immutable=1"))


def _logs(path: Path) -> list[Path]:
    """Return the logs of `path` that are not empty."""
    beside = (path.with_name(path.name + suffix) for suffix in LOGS)
    return [log for log in beside if log.exists() and log.stat().st_size > 0]


def _copied(*files: Path) -> Way:
    folder = Path(tempfile.mkdtemp(prefix="studies-"))
    way = Way(_uri(folder / files[0].name, "mode=rw"), copy=folder)
    try:
        for file in files:
            shutil.copyfile(file, folder / file.name)
    except OSError:
        way.remove_copy()
        raise
    return way


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the low byte: the rest says why


def _uri(path: Path, how: str) -> str:
    return f"file:{quote(str(path))}?{how}"
