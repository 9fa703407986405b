"""Open a storage, and say clearly why one cannot be used.

A storage is `memory`, `journal:PATH`, `grpc://HOST:PORT` (Optuna's proxy), or an SQLAlchemy URL of a database. Outages
of servers are waited out. SQLite itself waits while another process writes.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import warnings
from collections.abc import Iterator

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, InMemoryStorage, get_storage
from sqlalchemy.exc import ArgumentError, SAWarning, SQLAlchemyError

from studies.errors import BadInput, Problem
from studies.storage.address import Address, NoAddress, read_address, without_password
from studies.storage.database import holds_studies, open_database, read_database
from studies.storage.journal import open_journal, read_journal
from studies.storage.outage import passes, reason, unusable
from studies.storage.patience import USUAL, Outages, Patience, PatientStorage

__all__ = ["open_existing", "open_patiently", "open_storage", "open_to_read", "unusable", "without_password"]

FAILURES = (
    *(SQLAlchemyError, StorageInternalError, sqlite3.Error, RuntimeError, OSError, ValueError),
    *(TypeError, SAWarning),  # for an unknown option of the driver
)
GRPC_READY_S = 10
EXTRAS = {"psycopg": "postgresql", "pymysql": "mysql", "cryptography": "mysql", "grpc": "grpc", "google": "grpc"}
OPTION = re.compile(r"connection option|unexpected keyword argument|Query string argument")
NO_EXISTING = "run a study first, or give the storage.url that it was run with"


def open_storage(url: str, *, patience: Patience = USUAL) -> BaseStorage:
    """Open the storage at `url`. A missing file, folder or table is created.

    Raises `BadInput` if the storage cannot be reached now or is not Optuna's. Later outages are waited out with
    `patience`, and then raise `StorageInternalError`.
    """
    with _failures_told(url):
        return _open(read_address(url), patience)


def open_patiently(url: str, *, patience: Patience) -> BaseStorage:
    """Open a storage as `open_storage` does, for a worker: wait for it if it is away.

    Raises `StorageUnusable` if it does not come back in time.
    """
    with _failures_told(url):
        address = read_address(url)
        try:
            return Outages(patience).outlast(lambda: _open(address, patience))
        except Exception as error:
            if passes(error):
                raise unusable(error) from None
            raise


def open_existing(url: str, *, patience: Patience = USUAL) -> BaseStorage:
    """Open the existing storage at `url`. Raises `BadInput` as `open_storage` does, and if there is none."""
    with _failures_told(url):
        address = read_address(url)
        _refuse_missing(address)
        return _open(address, patience)


def open_to_read(url: str, *, patience: Patience = USUAL) -> BaseStorage:
    """Open the existing storage at `url` for reading. Nothing is written to it, and it need not be writable.

    Raises `BadInput` as `open_existing` does.
    """
    with _failures_told(url):
        address = read_address(url)
        _refuse_missing(address)
        if address.kind == "journal" and address.file is not None:
            return PatientStorage(read_journal(address.file), patience=patience)
        if address.kind in ("memory", "grpc"):
            return _open(address, patience)
        database = read_database(address)
        return database if address.kind == "sqlite" else PatientStorage(get_storage(database), patience=patience)


def _refuse_missing(address: Address) -> None:
    """Raise `BadInput` if there is no storage at `address`, or one without studies."""
    if address.file is not None and not address.file.exists():
        raise BadInput([Problem("storage.url", f"is {address.shown}, a file that does not exist", NO_EXISTING)])
    if address.kind in ("postgresql", "mysql", "other") and not holds_studies(address):
        raise BadInput([Problem("storage.url", f"is {address.shown}, which holds no studies", NO_EXISTING)])


def _open(address: Address, patience: Patience) -> BaseStorage:
    if address.kind == "memory":
        return InMemoryStorage()
    if address.kind == "journal" and address.file is not None:
        return PatientStorage(open_journal(address.file), patience=patience)
    if address.kind == "grpc":
        return PatientStorage(_proxy(address), patience=patience)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Query string argument", category=SAWarning)
        database = open_database(address)
    if address.kind == "sqlite":
        return database  # it has no server
    return PatientStorage(get_storage(database), patience=patience)  # with Optuna's cache of finished trials


def _proxy(address: Address) -> GrpcStorageProxy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = GrpcStorageProxy(host=address.host, port=address.port)
    try:
        proxy.wait_server_ready(timeout=GRPC_READY_S)
    except Exception as error:
        if type(error).__name__ != "FutureTimeoutError":  # of grpc, which may not be installed
            raise
        raise ConnectionError(f"nothing answers there within {GRPC_READY_S} s") from None
    return proxy


@contextlib.contextmanager
def _failures_told(url: str) -> Iterator[None]:
    """Raise `BadInput` for any failure to open the storage at `url`. Its messages hold no password."""
    shown = without_password(url)
    try:
        yield
    except NoAddress as error:
        remedy = "give an SQLAlchemy URL such as sqlite:///outputs/studies.db, or journal:FILE, or grpc://HOST:PORT"
        remedy += "; in a password write %40 for @, %2F for /, %3A for :" if shown == "(hidden)" else ""
        raise BadInput([Problem("storage.url", f"is {shown}, which {error}", remedy)]) from None
    except ArgumentError:
        remedy = "give a URL that begins with sqlite, postgresql or mysql"
        raise BadInput([Problem("storage.url", f"is {shown}, a kind of database that is not known", remedy)]) from None
    except ImportError as error:
        raise BadInput([Problem("storage.url", f"is {shown}, whose driver is missing", _install(error))]) from None
    except FAILURES as error:
        complaint = f"is {shown}, which cannot be used ({reason(error)})"
        raise BadInput([Problem("storage.url", complaint, _remedy(shown, error))]) from None


def _install(error: ImportError) -> str:
    """Tell how to install the missing module."""
    cause: BaseException | None = error
    while isinstance(cause, ImportError) and cause.name is None and cause.__cause__ is not None:
        cause = cause.__cause__
    name = (getattr(cause, "name", None) or "the driver").partition(".")[0]
    extra = EXTRAS.get(name)
    return f"pip install 'lightning-studies[{extra}]'" if extra is not None else f"install {name}"


def _remedy(shown: str, error: Exception) -> str:
    if OPTION.search(reason(error)):
        return "correct or remove the option after the ? of the URL"
    if re.match(r"sqlite|journal", shown):
        return "name an Optuna database, or a new file in a folder you can write to"
    if passes(error) or isinstance(error, ConnectionError):
        return "start the server, or correct host and port"
    return "correct user, password and database, and see that the user may make tables in it"
