"""How an SQLite database is read where nothing may be written: an archive, a snapshot, another person's file.

Context: SQLite reads a database with a write-ahead log by the help of two files beside it, which it makes and removes.
Choice: the first of these ways that works. The file as it is, with all writing forbidden; read-only (`mode=ro`) where
the file or its folder cannot be written, or a log is left that closing would write into the database; as one that
nobody changes (`immutable=1`) where no log is left; and a copy of file and log. Cost: a database with a log on a medium
that cannot be written takes its size in the folder for temporary files, unless the second file lies beside it.
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

LOG = "-wal"


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
        connection = sqlite3.connect(self.uri, uri=True)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def remove_copy(self) -> None:
        """Remove the copy, if there is one."""
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)


def way_to_read(path: Path) -> Way:
    """Return the first way that works. Raises `sqlite3.Error` where none does."""
    failure: sqlite3.Error | None = None
    for way in _ways(path):
        try:
            with contextlib.closing(way.connect()) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            failure = failure or error
            way.remove_copy()
        else:
            return way
    assert failure is not None
    raise failure


def _ways(path: Path) -> Iterator[Way]:
    log = path.with_name(path.name + LOG)
    has_log = log.exists() and log.stat().st_size > 0
    if not has_log and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        yield Way(_uri(path, "mode=rw"))
    yield Way(_uri(path, "mode=ro"))
    if not has_log:
        yield Way(_uri(path, "immutable=1"))
        return
    folder = Path(tempfile.mkdtemp(prefix="studies-"))
    for file in (path, log):
        shutil.copyfile(file, folder / file.name)
    yield Way(_uri(folder / path.name, "mode=rw"), copy=folder)


def _uri(path: Path, how: str) -> str:
    return f"file:{quote(str(path))}?{how}"
