"""Storages that cannot be written: an archive, a snapshot, another user's. Reading commands leave every byte."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import create_trial
from services.mariadb import MariaDB
from services.postgresql import PostgreSQL
from sqlalchemy.engine import make_url

from studies.config.composing.configs import compose
from studies.errors import BadInput
from studies.list import list_studies
from studies.report import report
from studies.storage.opening import open_storage, open_to_read, unusable

NOBODY = 65534
FILES: Mapping[str, tuple[str, ...]] = {
    "without a log": ("s.db",),
    "with a log and its index": ("s.db", "s.db-wal", "s.db-shm"),
    "with a log alone": ("s.db", "s.db-wal"),
    "without write-ahead": ("s.db",),
    "half undone": ("s.db", "s.db-journal"),
    "journal": ("s.journal",),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may read."""
    path = Path(tempfile.mkdtemp(prefix="read-only-"))
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@pytest.fixture
def output() -> Iterator[Path]:
    """A folder that every user may write."""
    path = Path(tempfile.mkdtemp(prefix="read-only-output-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def fill(storage: optuna.storages.BaseStorage) -> optuna.Study:
    study = optuna.create_study(study_name="old", storage=storage)
    for i in range(3):
        study.add_trial(create_trial(value=i, params={"x": i / 9}, distributions={"x": FloatDistribution(0.0, 1.0)}))
    return study


def put(folder: Path, kind: str) -> str:
    """A storage of that kind in `folder`; its URL. Where there is a log, it alone holds a fourth trial."""
    if kind == "journal":
        fill(open_storage(f"journal:{folder}/s.journal"))
        (folder / "s.journal.lock").unlink()
        return f"journal:{folder}/s.journal"
    with tempfile.TemporaryDirectory() as made:
        study = fill(open_storage(f"sqlite:///{made}/s.db"))
        with contextlib.closing(sqlite3.connect(f"{made}/s.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if kind.startswith("with a log"):
                study.add_trial(create_trial(value=9.0))
            del study  # and its connections
            if kind in ("without write-ahead", "half undone"):
                connection.execute("PRAGMA journal_mode=DELETE")
            if kind == "half undone":
                change_in_part(connection)
            for name in FILES[kind]:
                shutil.copy(f"{made}/{name}", folder / name)
    return f"sqlite:///{folder}/s.db"


def change_in_part(connection: sqlite3.Connection) -> None:
    """Write into the file what is never committed, as a writer does that is killed: a journal tells what was before."""
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN")
    connection.execute("UPDATE trials SET state = 'FAIL'")
    rows = ((f"x{i}", "y" * 500) for i in range(500))
    connection.executemany("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)", rows)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a storage; without the index of SQLite's log, which each reader may make anew."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


@contextlib.contextmanager
def not_writable(folder: Path) -> Iterator[None]:
    """As a user who may read all in `folder` and write nothing."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def listed(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The row of the one study that is listed."""
    monkeypatch.setenv("COLUMNS", "200")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert list_studies(compose([f"storage.url='{url}'"])) == 0
    return next(line for line in printed.getvalue().splitlines() if "old" in line)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("is_writable", [True, False])
def test_reading_commands_read_all_and_write_nothing(
    folder: Path, output: Path, kind: str, is_writable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put(folder, kind)
    before = contents(folder)
    config = compose([f"storage.url='{url}'", "study_name=old", f"output_dir={output}", "analysis=none"])
    with contextlib.nullcontext() if is_writable else not_writable(folder):
        row = listed(url, monkeypatch)
        assert report(config) == 0
    n = 4 if kind.startswith("with a log") else 3
    assert f"{n} complete" in row
    assert f"; {n} trials finished." in (output / "report.md").read_text()
    assert contents(folder) == before


def test_a_copy_that_was_read_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(folder, "with a log alone")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.mkdtemp(prefix="read-only-copies-"))
    copies = Path(tempfile.gettempdir())
    copies.chmod(0o777)
    with not_writable(folder):
        storage = open_to_read(url)
        assert len(storage.get_all_studies()) == len(list(copies.iterdir())) == 1
        del storage
    assert list(copies.iterdir()) == []
    copies.rmdir()


@pytest.mark.parametrize("kind", ["with a log alone", "half undone"])
@pytest.mark.parametrize("is_writable", [True, False])
def test_a_link_is_read_with_the_logs_beside_what_it_names(
    folder: Path, output: Path, kind: str, is_writable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, kind)
    (output / "link.db").symlink_to(folder / "s.db")
    before = contents(folder)
    with contextlib.nullcontext() if is_writable else not_writable(folder):
        row = listed(f"sqlite:///{output}/link.db", monkeypatch)
    assert f"{4 if kind == 'with a log alone' else 3} complete" in row
    assert contents(folder) == before


def test_no_copy_is_left_of_a_file_that_is_no_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = folder / "copies"
    copies.mkdir(mode=0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    url = put(folder, "half undone")
    (folder / "s.db").write_bytes(b"no database" * 1000)
    with not_writable(folder), pytest.raises(BadInput, match="cannot be used"):
        open_to_read(url)
    assert list(copies.iterdir()) == []


def test_what_another_process_writes_is_not_copied_half_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(folder, "without write-ahead")
    monkeypatch.setattr("studies.storage.sqlite_reading.BUSY_S", 0.1)
    with contextlib.closing(sqlite3.connect(folder / "s.db", isolation_level=None)) as writer:
        change_in_part(writer)
        with pytest.raises(BadInput, match="database is locked"):
            open_to_read(url)


def test_a_command_that_writes_undoes_what_a_killed_writer_left(folder: Path) -> None:
    storage = open_storage(put(folder, "half undone"))
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.n_trials == 3
    assert study.user_attrs == {}


@pytest.mark.parametrize("kind", FILES)
def test_a_command_that_writes_says_that_it_cannot(folder: Path, kind: str) -> None:
    url = put(folder, kind)
    with not_writable(folder), pytest.raises(BadInput, match=r"storage\.url is .* cannot be") as raised:
        open_storage(url)
    assert len(raised.value.problems) == 1
    assert "a folder you can write to" in str(raised.value)


def test_a_database_may_be_named_by_sqlite_s_own_uri(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder, "without a log").removeprefix("sqlite:///")
    own = f"sqlite:///file:{path}?mode=ro&uri=true"
    assert "3 complete" in listed(own, monkeypatch)
    with pytest.raises(BadInput, match="attempt to write a readonly database"):
        open_storage(own)
    with pytest.raises(BadInput, match="a file that does not exist"):
        open_to_read("sqlite:///file:/none/s.db?mode=ro&uri=true")


def test_what_is_opened_to_read_refuses_to_be_written(folder: Path) -> None:
    storage = open_to_read(put(folder, "without a log"))
    with pytest.raises(StorageInternalError):
        optuna.create_study(storage=storage)


def test_a_page_that_cannot_be_replaced_is_told_by_the_key_of_its_folder(folder: Path, output: Path) -> None:
    url = put(folder, "without a log")
    (output / "report.md").mkdir()  # which no user can write a file over
    config = compose([f"storage.url='{url}'", "study_name=old", f"output_dir={output}", "analysis=none"])
    with pytest.raises(BadInput, match=r"output_dir is .*, and .*report\.md cannot be written"):
        report(config)
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []


def check_reader(url: str, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of a server, with the password `reads`, reads the study and cannot make one."""
    own = make_url(url).set(username=user, password="reads").render_as_string(hide_password=False)
    assert "3 complete" in listed(own, monkeypatch)
    with pytest.raises(StorageInternalError) as raised:
        optuna.create_study(storage=open_storage(own))
    assert "see that you may write to the storage" in str(unusable(raised.value))


def test_a_user_who_may_only_select_reads_postgresql(
    postgresql_server: PostgreSQL, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    fill(open_storage(postgresql_url))
    name = f"reader_{os.urandom(4).hex()}"
    postgresql_server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'reads'")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    check_reader(postgresql_url, name, monkeypatch)


def test_a_user_who_may_only_select_reads_mariadb(
    mariadb_server: MariaDB, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(open_storage(mariadb_url))
    name = f"reader_{os.urandom(4).hex()}"
    mariadb_server.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'reads'")
    mariadb_server.execute(f"GRANT SELECT ON `{make_url(mariadb_url).database}`.* TO {name}@'%'")
    check_reader(mariadb_url, name, monkeypatch)
