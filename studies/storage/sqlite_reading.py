"""How an SQLite database is read where nothing may be written: an archive, a snapshot, another person's file.

Context: SQLite keeps a log beside a database. A write-ahead log holds what is not yet in the database, and a rollback
journal that a killed writer left holds what has to be undone. Closing or opening the database would do both in place.
Choice: the first of these ways that works. The file as it is, with all writing forbidden; read-only (`mode=ro`) where
the file or its folder cannot be written, or a log is left; as one that nobody changes (`immutable=1`) where no log is
left; and a copy of file and logs. A link is followed first, for the logs lie beside what it names. Cost: such a copy
takes the database's size in the folder for temporary files.
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
    """A way to read a database, which Python's driver knows as `uri`. `copy` is a folder to be removed afterwards."""

    uri: str
    copy: Path | None = None

    @property
    def url(self) -> str:
        """The same for SQLAlchemy, which takes quotes off once more."""
        file, _, how = self.uri.partition("?")
        return f"sqlite:///{quote(file, safe='/:')}?{how}&uri=true"

    def connect(self) -> sqlite3.Connection:
        """Return a connection that writes nothing."""
        connection = sqlite3.connect(self.uri, uri=True, timeout=BUSY_S)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def remove_copy(self) -> None:
        """Remove the copy, if there is one."""
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)


def way_to_read(path: Path) -> Way:
    """Return the first way that works. Raises `sqlite3.Error` where none does, OSError where no copy can be made."""
    path = Path(os.path.realpath(path))
    failure: sqlite3.Error | None = None
    for way in _ways(path):
        try:
            with contextlib.closing(way.connect()) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            way.remove_copy()
            if not isinstance(error, sqlite3.OperationalError) or (_is_busy(error) and _logs(path)):
                raise  # where somebody writes just now, a copy would be torn
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
    """Return the logs of `path` that hold anything."""
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
