"""A storage's address: its kind, its driver, and its form without a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from studies.secrets.names import is_secret_name
from studies.secrets.texts import MASK, masked

Kind = Literal["memory", "journal", "grpc", "sqlite", "postgresql", "mysql", "other"]

MEMORY = "memory"
JOURNAL = "journal:"
GRPC = "grpc://"
GRPC_PORT = 13000  # Optuna's own default
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
OF_DRIVERS = re.compile(r"passfile|ssl_?key|token", re.IGNORECASE)  # secrets among the options of drivers
SECRET_TEXT = re.compile(r"passw|secret|token|pwd", re.IGNORECASE)  # in what is no URL


class NoAddress(Exception):
    """The given text is no address. The message says why and does not show it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a storage is."""

    kind: Kind
    shown: str  # without a password
    url: str = field(default="", repr=False)  # for SQLAlchemy, with the driver; may hold a password
    file: Path | None = None  # of a journal or an SQLite database
    host: str = ""
    port: int = 0


def read_address(text: str) -> Address:
    """Parse an address. Raises `NoAddress`."""
    if text == MEMORY:
        return Address("memory", shown=text)
    if text.startswith(JOURNAL):
        return _journal(text)
    if text.startswith(GRPC):
        return _grpc(text)
    url = _parsed(text)
    if url.host is not None and "@" in url.host:
        raise NoAddress("has a second @: write %40 for an @ in the password")
    url = url.set(drivername=_with_driver(url.drivername))
    kinds: dict[str, Kind] = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql"}
    kind = kinds.get(url.drivername.partition("+")[0], "other")
    file = _file_of(url) if kind == "sqlite" else None
    full = text if kind == "sqlite" else url.render_as_string(hide_password=False)
    in_template = full.replace("{", "{{").replace("}", "}}")  # Optuna takes braces in a URL for its own template
    return Address(kind, shown=_shown(_parsed(text)), url=in_template, file=file)


def without_password(text: str) -> str:
    """Return an address, or a failed attempt at one, without its secrets."""
    try:
        return read_address(text).shown
    except NoAddress:
        return repr(text) if "@" not in text and masked(text) == text and not SECRET_TEXT.search(text) else "(hidden)"


def holds_secret(text: str) -> bool:
    """Return whether the address `text` holds a password or another secret. False for other texts."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return False
    return url.password is not None or any(map(_is_secret, url.query))


def _file_of(url: URL) -> Path | None:
    """Return the file of an SQLite database, also of SQLite's own URI. None for a database in memory."""
    written = url.database or ""
    if url.query.get("uri") == "true" and written.startswith("file:"):
        written = "" if url.query.get("mode") == "memory" else unquote(urlsplit(written).path)
    return Path(written) if written not in ("", ":memory:") else None


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise NoAddress("is no URL") from None


def _shown(url: URL) -> str:
    query = {key: MASK if _is_secret(key) else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace("%2A%2A%2A", MASK)


def _is_secret(option: str) -> bool:
    return is_secret_name(option) or OF_DRIVERS.search(option) is not None


def _with_driver(name: str) -> str:
    """Return a driver's name, with MySQL's name for MariaDB: Optuna knows its statements by that name only."""
    if name.startswith("mariadb+"):
        return name.replace("mariadb+", "mysql+", 1)
    return DRIVERS.get(name, name)


def _journal(text: str) -> Address:
    path = text.removeprefix(JOURNAL)
    if not path or path.startswith("//"):
        raise NoAddress("names no file: write journal:outputs/studies.journal")
    return Address("journal", shown=text, file=Path(path))


def _grpc(text: str) -> Address:
    found = re.fullmatch(r"(\[[^\]/@]+\]|[^:/@\[\]]+)(?::(\d{1,5}))?/?", text.removeprefix(GRPC))
    if found is None:
        raise NoAddress("names no server: write grpc://host:13000")
    port = int(found[2] or GRPC_PORT)
    return Address("grpc", shown=text, host=found[1], port=port)
