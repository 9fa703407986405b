"""Optuna's storage in a database: SQLite, PostgreSQL, MySQL or MariaDB, made safe for many processes.

SQLite: a write-ahead log, so readers such as the dashboard never block a writer; a busy time-out; and transactions that
begin IMMEDIATE. Optuna reads a trial's state and then writes it. Under SQLite's default, deferred transactions, two
workers can both claim one trial. Cost: readers among the workers wait some milliseconds behind writers.

Servers: READ COMMITTED, whatever the server's default. Optuna claims a trial by SELECT … FOR UPDATE, which is atomic
under it. MySQL's default also locks gaps between rows, so workers end in deadlocks. Newer MariaDB then refuses rows
that changed since they were read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sqlite3
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from studies.storage.address import Address
from studies.storage.outage import is_creation_race
from studies.storage.sqlite_reading import way_to_read

BUSY_TIMEOUT_S = 120
OPTUNA_TABLE = "version_info"  # every Optuna database has it
FIRST_TABLE, FIRST_COLUMNS = "studies", {"study_id", "study_name"}  # what Optuna creates before it
NO_CHANGE = f"DELETE FROM {OPTUNA_TABLE} WHERE 0"  # which fails where nothing can be written
CREATION_TRIES = 20
CONNECT_S = 10
POOL = {
    "pool_pre_ping": True,  # a connection may have been closed since it was last used
    "pool_size": 1,  # a worker: servers allow some hundred connections, so the lease's thread opens its own to beat
    "max_overflow": 10,  # a dashboard or a proxy serves from many threads
    "pool_recycle": 1800,  # MySQL closes idle connections
    "isolation_level": "READ COMMITTED",
}
# A server that vanishes without closing its connections is given up in about a minute.
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": {
        "connect_timeout": CONNECT_S,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,  # ms
        "application_name": "lightning-studies",
    },
    "mysql+pymysql": {"connect_timeout": CONNECT_S, "read_timeout": 60, "write_timeout": 60},
}

_engines: weakref.WeakSet[sqlalchemy.Engine] = weakref.WeakSet()
_carried_over: list[object] = []


def open_database(address: Address) -> RDBStorage:
    """Open the storage in the database at `address`, and create missing tables."""
    if address.file is not None:
        address.file.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign_tables(address.file)
    storage = _kept(_make(address))
    if address.kind == "sqlite":
        _share(storage.engine, None if address.file is None else address.file.absolute())
        with storage.engine.begin() as connection:
            connection.exec_driver_sql(NO_CHANGE)
    return storage


def read_database(address: Address) -> RDBStorage:
    """Open the storage in the database at `address` for reading only. It must have Optuna's tables."""
    if address.file is None:
        return _kept(_make(address, to_read=True))
    way = way_to_read(address.file)
    try:
        with contextlib.closing(way.connect()) as connection:
            _refuse_other_tables(connection)
        storage = _make(replace(address, url=way.url), to_read=True)
    except Exception:
        way.remove_copy()
        raise
    weakref.finalize(storage, way.remove_copy)
    return _kept(storage)


def _kept(storage: RDBStorage) -> RDBStorage:
    """Return `storage`, and close its connections when it is collected, so that the server frees them at once."""
    for handler in logging.getLogger("optuna").handlers:
        handler.addFilter(_is_news)
    _engines.add(storage.engine)
    weakref.finalize(storage, storage.engine.dispose)
    return storage


def holds_studies(address: Address) -> bool:
    """Return whether the database at `address` has Optuna's tables."""
    engine = sqlalchemy.create_engine(_plain(address.url), **_engine_arguments(address))
    try:
        return sqlalchemy.inspect(engine).has_table(OPTUNA_TABLE)
    finally:
        engine.dispose()


def _engine_arguments(address: Address) -> dict[str, Any]:
    if address.kind == "sqlite":
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
    if address.kind == "other":
        return {"pool_pre_ping": True}
    url = make_url(_plain(address.url))
    arguments = CONNECT_ARGUMENTS.get(url.drivername, {})
    return {**POOL, "connect_args": {key: value for key, value in arguments.items() if key not in url.query}}


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for Optuna's warning of a failed read, with its SQL. Optuna reads again and reports the outcome."""
    return "Falling back to a slower alternative" not in record.getMessage()


def _plain(template: str) -> str:
    return template.replace("{{", "{").replace("}}", "}")


def _make(address: Address, *, to_read: bool = False) -> RDBStorage:
    """Make Optuna's storage, and try again while another process creates the same tables.

    Optuna checks whether a table is there and then creates it. Of several processes at once, some fail.
    """
    for _ in range(CREATION_TRIES - 1):
        try:
            return _try_to_make(address, to_read=to_read)
        except Exception as error:
            if not is_creation_race(error):
                raise
        time.sleep(random.uniform(0.05, 0.5))
    return _try_to_make(address, to_read=to_read)


def _try_to_make(address: Address, *, to_read: bool) -> RDBStorage:
    """Make Optuna's storage. On failure, close the connections that Optuna leaves open."""
    pools: weakref.WeakSet[QueuePool] = weakref.WeakSet()

    class Noted(QueuePool):  # SQLAlchemy's own choice for a file and for these servers
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            pools.add(self)

    if to_read and address.kind == "sqlite":
        sqlalchemy.event.listen(Noted, "connect", _forbid_writing)
    is_pooled = address.file is not None or address.kind in ("postgresql", "mysql")
    arguments = _engine_arguments(address) | ({"poolclass": Noted} if is_pooled else {})
    try:
        storage = RDBStorage(address.url, engine_kwargs=arguments, skip_table_creation=to_read)
    except Exception:
        for pool in list(pools):
            pool.dispose()
        raise
    if to_read and address.kind == "sqlite":
        sqlalchemy.event.listen(storage.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return storage


def _forbid_writing(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # as for writers: one transaction reads one state
    connection.execute("PRAGMA query_only=ON")


def _refuse_foreign_tables(path: Path) -> None:
    """Raise OSError for a file that cannot be written, or one of another program: Optuna would add its tables to it.

    A server's database is often shared on purpose, so it is not checked.
    """
    if not path.exists():
        return
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise OSError("it cannot be written")
    # writable: SQLite has to undo the half-done transaction of a killed writer before it can read
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
        _refuse_other_tables(connection)


def _refuse_other_tables(connection: sqlite3.Connection) -> None:
    """Raise OSError for tables of another program. A process that makes Optuna's tables now may have made the first."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({FIRST_TABLE})")}
    is_begun = tables == {FIRST_TABLE} and columns == FIRST_COLUMNS
    if tables and OPTUNA_TABLE not in tables and not is_begun:
        raise OSError(f"it holds other tables: {', '.join(sorted(tables)[:5])}")


def _share(engine: sqlalchemy.Engine, file: Path | None) -> None:
    """Make `engine`'s connections safe for several processes, by SQLAlchemy's documented recipe for pysqlite.

    If somebody deletes or replaces the file, an open connection still writes to the old one, and all of that is lost.
    So each transaction checks that `file` is still the opened one.
    """
    opened = _identity(file)

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    def begun(connection: sqlalchemy.Connection) -> None:
        if _identity(file) != opened:
            raise sqlalchemy.exc.OperationalError("BEGIN", None, sqlite3.OperationalError(f"the file is gone: {file}"))
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections from before these listeners
    sqlalchemy.event.listen(engine, "connect", connected)
    sqlalchemy.event.listen(engine, "begin", begun)


def _identity(file: Path | None) -> tuple[int, int] | None:
    """Return the device and inode of a file. None if there is none."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def _leave_connections_to_the_parent() -> None:
    """Give a forked process (a DataLoader's worker) its own connections.

    The inherited ones are kept and never touched: even closing them would send messages on the parent's connection.
    """
    for engine in list(_engines):
        _carried_over.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_connections_to_the_parent)
