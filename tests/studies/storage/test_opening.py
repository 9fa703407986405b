from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage

from studies.errors import BadInput
from studies.storage.opening import open_existing, open_storage, without_password


def test_a_sqlite_file_and_its_folder_are_made_and_shared_safely(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "studies.db"
    storage = open_storage(f"sqlite:///{path}")
    optuna.create_study(storage=storage)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_does_not_stop_a_writer(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/s.db")
    study = optuna.create_study(storage=storage)
    reader = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM trials").fetchone()
    study.tell(study.ask(), 1.0)
    reader.execute("COMMIT")
    reader.close()
    assert len(study.trials) == 1


def test_a_storage_that_is_dropped_or_refused_leaves_no_connection_open(tmp_path: Path) -> None:
    """SQLite keeps a second file beside the database until the last connection to it is closed."""
    path = tmp_path / "s.db"
    storage = open_storage(f"sqlite:///{path}")
    optuna.create_study(storage=storage)
    assert len(list(tmp_path.iterdir())) > 1
    del storage
    assert list(tmp_path.iterdir()) == [path]
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v0.0.1'")
    for _ in range(2):
        with pytest.raises(BadInput, match="no longer compatible with the table schema"):
            open_storage(f"sqlite:///{path}")
        assert list(tmp_path.iterdir()) == [path]


def test_memory_is_a_storage() -> None:
    assert isinstance(open_storage("memory"), InMemoryStorage)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/none/s.db", "nodb://x/y"])
def test_a_storage_that_cannot_be_used_is_one_clear_problem(url: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.url is .*: ") as caught:
        open_storage(url)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///{}/s.db?nonsense=1", "Query string argument"),
        ("mysql://me@localhost/db?nonsense=1", "unexpected keyword argument 'nonsense'"),
        ("postgresql://me@localhost/db?nonsense=1", 'invalid connection option "nonsense"'),
    ],
)
def test_an_option_that_the_driver_does_not_know_is_told(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(
        BadInput, match=r"storage\.url is .*correct or remove the option after the \? of the URL"
    ) as caught:
        open_storage(url.format(tmp_path))
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_file_that_is_no_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 100)
    with pytest.raises(BadInput, match="is not a database"):
        open_storage(f"sqlite:///{path}")
    assert path.read_text() == "my notes\n" * 100


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        connection.execute("CREATE TABLE studies (name TEXT)")
    with pytest.raises(BadInput, match=r"storage\.url"):
        open_storage(f"sqlite:///{tmp_path}/s.db")


def test_only_an_existing_storage_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist: run a study first"):
        open_existing(f"sqlite:///{tmp_path}/s.db")
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_never_shown() -> None:
    assert "secret" not in without_password("postgresql://me:secret@host/db")
    with pytest.raises(BadInput) as caught:
        open_storage("nodb://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_braces_in_a_path_are_part_of_it(tmp_path: Path) -> None:
    """Optuna would take them for places to fill in."""
    optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/a{{b}}.db"))
    assert (tmp_path / "a{b}.db").exists()


def test_optuna_does_not_tell_the_sql_of_a_read_that_failed(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/s.db")
    handlers = logging.getLogger("optuna").handlers
    texts = ("Caught an error: SELECT 1. Falling back to a slower alternative.", "something else")
    told = [logging.makeLogRecord({"msg": text}) for text in texts]
    assert [[bool(handler.filter(record)) for record in told] for handler in handlers] == [[False, True]] * len(
        handlers
    )
    assert handlers
