"""Failures of a storage: those that pass by themselves, and those that somebody has to mend.

Errors of drivers are recognised by their codes, not their classes, so no driver has to be installed.
"""

from __future__ import annotations

import json
import re
import sqlite3
import traceback
from collections.abc import Iterator

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from studies.errors import StorageUnusable
from studies.secrets.texts import masked

LONGEST_REASON = 300  # characters

REACH = "see that the storage can be reached"
REMEDIES = {  # by what the storage says
    "full|No space left": "free some space",
    "(?i)permission denied|command denied|read-?only": "see that you may write to the storage",
}

# SQLSTATEs of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
LOST_CLASS = "08"  # connection exceptions
PASSING_STATES = {
    *("57P01", "57P02", "57P03", "57P05"),  # shut down, crashed, starting up, closed as idle
    *("53300", "25P03"),  # too many connections, closed as idle in a transaction
    *("40001", "40P01", "55P03"),  # serialisation failure, deadlock, lock not available
}
CREATED_STATES = {"42P07", "42710", "23505", "40P01", "40001", "XX000"}  # exists (2), not unique, …, updated at once
# libpq gives no SQLSTATE for a connection that was refused.
REFUSED = re.compile(r"authentication failed|pg_hba\.conf|role .* does not exist|database .* does not exist")

# Error codes of MySQL and MariaDB: https://mariadb.com/kb/en/mariadb-error-code-reference/
PASSING_CODES = {
    *(2002, 2003, 2006, 2013, 2014, 2055, 4031, 1927),  # no connection, lost connection
    *(1053, 1152, 1158, 1159, 1160, 1161, 1184),  # shutting down, aborted, network errors
    *(1040, 1203),  # too many connections
    *(1020, 1205, 1213),  # changed since it was read, lock wait time-out, deadlock
    0,  # PyMySQL: a connection that was closed
}
CREATED_CODES = {1050, 1060, 1061, 1062, 1205, 1213, 1412, 1684}  # exists, …, not unique, …, changed meanwhile
DAMAGED = re.compile(r"malformed|not a database|no such (table|column)|file is gone")
OF_A_ROW = (ValueError, TypeError, AssertionError, LookupError)
CREATED_IN_SQLITE = re.compile(r"already exists|UNIQUE constraint|is locked")


def passes(error: BaseException) -> bool:
    """Return whether another try may help: the server is away, broke the connection, or gave up this transaction."""
    return is_of_the_storage(error) and any(_passes(link) for link in _chain(error))


def is_creation_race(error: BaseException) -> bool:
    """Return whether another process is creating the same tables at this moment."""
    return any(isinstance(link, DBAPIError) and _was_created(link) for link in _chain(error))


def is_of_the_storage(error: BaseException) -> bool:
    """Return whether `error`, raised by a storage, is a failure of the storage itself and not of the request."""
    broken = (StorageInternalError, SQLAlchemyError, OSError, json.JSONDecodeError, UnicodeDecodeError)
    return isinstance(error, broken) or _grpc_code(error) is not None


def is_of_a_row(error: BaseException) -> bool:
    """Return whether `error` came from a row that Optuna cannot read, since somebody edited it.

    Optuna raises its parsers' errors, which occur elsewhere for other reasons. So the module that raised it decides.
    """
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    of_rows = isinstance(error, OF_A_ROW) and not isinstance(error, KeyError)
    return of_rows and any(str(name).startswith("optuna.storages") for name in frames)


def reason(error: BaseException) -> str:
    """Return what went wrong in the storage's own words, on one line."""
    links = list(_chain(error))
    of_driver = [link.orig for link in links if isinstance(link, DBAPIError) and link.orig is not None]
    of_driver += [link for link in links if isinstance(link, sqlite3.Error)]
    origin = of_driver[0] if of_driver else links[-1]
    details = getattr(origin, "details", None)
    text = str(details()) if callable(details) else str(origin)
    if len(origin.args) == 2 and isinstance(origin.args[0], int) and not isinstance(origin, OSError):
        text = str(origin.args[1])
    return masked(" ".join(text.split()))[:LONGEST_REASON] or type(origin).__name__


def is_damaged(error: BaseException) -> bool:
    """Return whether the storage's file is gone or damaged."""
    if is_of_a_row(error):
        return True
    links = list(_chain(error))
    if any(isinstance(link, json.JSONDecodeError | UnicodeDecodeError | FileNotFoundError) for link in links):
        return True
    of_driver = [link.orig if isinstance(link, DBAPIError) else link for link in links]
    return any(isinstance(link, sqlite3.Error) and DAMAGED.search(str(link)) for link in of_driver)


def unusable(error: BaseException) -> StorageUnusable:
    """Return the error for a failure of the storage during a study, with its remedy."""
    why = reason(error)
    if is_damaged(error):
        remedy = "name another storage.url, or restore it from a copy"
        return StorageUnusable(f"the storage failed: {why}. It is damaged, or its file is gone: {remedy}.")
    remedy = next((remedy for sign, remedy in REMEDIES.items() if re.search(sign, why)), REACH)
    return StorageUnusable(
        f"the storage failed: {why}. What it holds is intact: {remedy} and run the same command again to go on."
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, its causes and its contexts.

    Optuna reads again after a broken read. SQLAlchemy then reports the open transaction, with the cause as context.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _passes(link: BaseException) -> bool:
    if isinstance(link, DBAPIError):
        return link.connection_invalidated or _passes_by_code(link)
    return isinstance(link, NoConnectionFree | ConnectionError) or _grpc_code(link) == "UNAVAILABLE"


def _passes_by_code(link: DBAPIError) -> bool:
    code = _code(link)
    if isinstance(code, str):
        return code.startswith(LOST_CLASS) or code in PASSING_STATES
    if isinstance(code, int):
        return code in PASSING_CODES
    if isinstance(link.orig, sqlite3.Error):
        return False
    return isinstance(link, OperationalError | InterfaceError) and not REFUSED.search(str(link.orig))


def _was_created(link: DBAPIError) -> bool:
    code = _code(link)
    if isinstance(link.orig, sqlite3.Error):
        return bool(CREATED_IN_SQLITE.search(str(link.orig)))
    return code in CREATED_STATES if isinstance(code, str) else code in CREATED_CODES


def _code(link: DBAPIError) -> str | int | None:
    """Return the number of MySQL's drivers, which says more than their SQLSTATE, or the SQLSTATE of psycopg."""
    first = link.orig.args[0] if link.orig is not None and link.orig.args else None
    state = getattr(link.orig, "sqlstate", None)
    return first if isinstance(first, int) else state if isinstance(state, str) else None


def _grpc_code(error: BaseException) -> str | None:
    """Return the name of the status of a failed gRPC call."""
    code = getattr(error, "code", None)
    name = getattr(code(), "name", None) if callable(code) else None
    return name if isinstance(name, str) else None
