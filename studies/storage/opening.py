"""Opens a storage and tells clearly when it cannot be used.

SQLite is made safe for several processes: write-ahead log (readers such as the dashboard never block a writer), a busy
timeout, and transactions that begin IMMEDIATE. Optuna reads a trial's state and then writes it; under SQLite's default
of deferred transactions two workers can both claim one trial, under IMMEDIATE they cannot. The cost is that readers
among the workers queue up behind writers for some milliseconds.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from studies.errors import BadInput, Problem, StorageUnusable

BUSY_TIMEOUT_S = 120
MEMORY = "memory"
OPTUNA_TABLE = "version_info"  # every Optuna database has it


def open_storage(url: str) -> BaseStorage:
    """The storage at `url`; a SQLite file and its folder are made where they are missing.

    Raises `BadInput` where the storage cannot be reached or is not an Optuna database.
    """
    if url == MEMORY:
        return InMemoryStorage()
    shown = without_password(url)
    try:
        sqlite_file = _sqlite_file(url)
        if sqlite_file is None:
            return RDBStorage(url)
        sqlite_file.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign_tables(sqlite_file)
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}})
        _share(storage.engine)
        return storage
    except (ArgumentError, ValueError):
        remedy = "give an SQLAlchemy URL such as sqlite:///outputs/studies.db"
        raise BadInput([Problem("storage.url", f"is {shown}, which is no URL", remedy)]) from None
    except ImportError as error:
        remedy = f"install the driver ({error.name})"
        raise BadInput([Problem("storage.url", f"is {shown}, whose driver is missing", remedy)]) from None
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, RuntimeError, OSError) as error:
        complaint = f"is {shown}, which cannot be used ({_reason(error)})"
        remedy = "name an Optuna database, or a new file in a folder you can write to"
        raise BadInput([Problem("storage.url", complaint, remedy)]) from None


def open_existing(url: str) -> BaseStorage:
    """The storage at `url`, which is not made where it is missing. Raises `BadInput` as `open_storage` does."""
    try:
        sqlite_file = _sqlite_file(url) if url != MEMORY else None
    except (ArgumentError, ValueError):
        sqlite_file = None
    if sqlite_file is not None and not sqlite_file.exists():
        remedy = "run a study first, or give the storage.url that it was run with"
        raise BadInput([Problem("storage.url", f"is {url}, a file that does not exist", remedy)])
    return open_storage(url)


def without_password(url: str) -> str:
    """`url` as it may be shown."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return repr(url) if "@" not in url else "(hidden)"


def unusable(error: BaseException) -> StorageUnusable:
    """What a failure of the storage in mid-study means, in words."""
    reason = _reason(error)
    full = "full" in reason
    remedy = "free some space" if full else "see that the storage can be reached"
    return StorageUnusable(
        f"the storage failed: {reason}. What it holds is intact: {remedy} and run the same command again to go on."
    )


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            return str(cause)
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def _refuse_foreign_tables(path: Path) -> None:
    """Raise OSError for a database that another program uses: Optuna would add its own tables to it."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and OPTUNA_TABLE not in tables:
        raise OSError(f"it holds other tables: {', '.join(sorted(tables)[:5])}")


def _share(engine: sqlalchemy.Engine) -> None:
    """Make `engine`'s connections safe for several processes, by SQLAlchemy's documented recipe for pysqlite."""

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver shall not begin transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    def begun(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections from before these listeners
    sqlalchemy.event.listen(engine, "connect", connected)
    sqlalchemy.event.listen(engine, "begin", begun)
