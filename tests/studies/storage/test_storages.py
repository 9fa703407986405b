"""What every storage keeps to: an exact budget among processes, leases, opening at once, forks, outages."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from services.mariadb import MariaDB
from services.postgresql import PostgreSQL
from services.server import Server
from sleepers import Sleepers

from studies import schema
from studies.errors import BadInput
from studies.storage.address import read_address
from studies.storage.database import open_database
from studies.storage.lease import Lease, Watch
from studies.storage.opening import open_existing, open_storage

OPENERS = """
import os
import sys
from studies.storage.opening import open_storage

def begin() -> int:
    child = os.fork()
    if child:
        return child
    open_storage(sys.argv[1]).get_all_studies()
    os._exit(0)

children = [begin() for _ in range(8)]
sys.exit([os.waitpid(child, 0)[1] for child in children] != [0] * 8)
"""
KINDS = ["sqlite", "journal", "postgresql", "mariadb"]
SERVERS = ["postgresql", "mariadb"]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty storage of the kind that the test asks for."""
    files = {"sqlite": f"sqlite:///{tmp_path}/s.db", "journal": f"journal:{tmp_path}/s.journal"}
    return files.get(request.param) or str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The server of the kind that the test asks for; it may stop it, and must start it again."""
    found = request.getfixturevalue(f"{request.param}_server")
    assert isinstance(found, PostgreSQL | MariaDB)
    return found


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_commands_that_differ_in_n_trials_share_a_study_exactly(url: str, sleepers: Callable[..., Sleepers]) -> None:
    small, large = (sleepers(url, f"n_trials={n}", seconds=0.1) for n in (12, 24))
    for group in (small, large):
        group.start(2)
    small.leave()
    large.leave()
    large.check_exact()


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_four_processes_spend_the_budget_exactly(url: str, sleepers: Callable[..., Sleepers]) -> None:
    group = sleepers(url, "n_trials=30", seconds=0.06)
    group.start(4)
    group.leave()
    group.check_exact()


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_eight_processes_may_open_an_empty_storage_at_once(url: str) -> None:
    command = [sys.executable, "-c", OPENERS, url]
    openers = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert openers.returncode == 0, openers.stderr
    assert open_existing(url).get_all_studies() == []


def first_table(tmp_path: Path) -> str:
    """What Optuna creates first in an empty file."""
    open_storage(f"sqlite:///{tmp_path}/whole.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "whole.db")) as whole:
        tables = whole.execute("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return str(tables[0][0])


def test_a_file_whose_tables_another_process_is_making_is_opened(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "begun.db")) as begun:
        begun.execute(first_table(tmp_path))
    assert open_storage(f"sqlite:///{tmp_path}/begun.db").get_all_studies() == []
    with contextlib.closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE studies (id INTEGER, title TEXT)")
    with pytest.raises(BadInput, match="it holds other tables: studies"):
        open_storage(f"sqlite:///{tmp_path}/theirs.db")


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_of_many_threads_one_claims_a_waiting_trial(url: str) -> None:
    storages = [open_storage(url) for _ in range(4)]
    study = optuna.create_study(study_name="s", storage=storages[0])
    for _ in range(20):
        study.enqueue_trial({})
    ids = [trial._trial_id for trial in study.get_trials(deepcopy=False)]

    def claim(storage: BaseStorage) -> list[int]:
        shuffled = random.sample(ids, len(ids))
        return [trial_id for trial_id in shuffled if storage.set_trial_state_values(trial_id, TrialState.RUNNING)]

    with ThreadPoolExecutor(len(storages)) as pool:
        claimed = [trial_id for won in pool.map(claim, storages) for trial_id in won]
    assert sorted(claimed) == ids


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_what_another_process_wrote_is_seen_at_the_next_look(url: str) -> None:
    ours, theirs = open_storage(url), open_storage(url)
    study = optuna.create_study(study_name="s", storage=ours)
    other = optuna.load_study(study_name="s", storage=theirs)
    for number in range(3):
        trial = other.ask()
        assert [t.state for t in study.get_trials(deepcopy=False)][number] == TrialState.RUNNING
        other.tell(trial, 0.1 + number)
        assert study.trials[number].value == 0.1 + number


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_a_silent_worker_of_another_machine_loses_its_trial_and_a_beating_one_keeps_it(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    silent, beating = study.ask(), study.ask()
    for trial in (silent, beating):
        trial.set_user_attr(schema.WORKER, "elsewhere:1:1")
    watch = Watch(storage, lease_s=0.6)
    deadline = time.monotonic() + 30
    with Lease(beating, lease_s=0.6):
        while not watch.release_stale(study, study.get_trials(deepcopy=False)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.RUNNING]


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_forked_process_has_connections_of_its_own(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    child = os.fork()
    if child == 0:
        try:
            study.ask().set_user_attr("from", "child")
            os._exit(0)
        finally:
            os._exit(1)
    for _ in range(50):  # meanwhile, over the connection that the child was born with
        study.set_user_attr("from", "parent")
    assert os.waitpid(child, 0)[1] == 0
    assert study.trials[0].user_attrs == {"from": "child"}
    assert study.user_attrs == {"from": "parent"}


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_server_that_is_started_anew_between_two_calls_is_not_noticed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(server.new_database()))
    trial = study.ask()
    server.stop()
    server.start()
    trial.report(1.0, 1)
    study.tell(trial, 1.0)
    assert study.trials[0].value == 1.0
    assert not [record for record in caplog.records if record.name.startswith("studies")]


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_transactions_are_read_committed_whatever_the_servers_default_is(url: str) -> None:
    storage = open_database(read_address(url))
    with storage.engine.connect() as connection:
        query = "SHOW transaction_isolation" if "postgresql" in url else "SELECT @@tx_isolation"
        found = connection.exec_driver_sql(query).scalar_one()
    assert found.lower().replace("-", " ") == "read committed"


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_finished_trials_are_read_from_a_server_once(url: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    study.tell(study.ask(), 1.0)
    (first,), (second,) = study.get_trials(deepcopy=False), study.get_trials(deepcopy=False)
    assert first is second


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_what_a_server_refuses_is_one_clear_problem(kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"{kind}_server")
    server.new_database()
    for url in (server.url("test_1", password="wr0ng"), server.url("absent")):
        with pytest.raises(BadInput, match=r"which cannot be used .*: correct user, password and database") as caught:
            open_storage(url)
        assert "wr0ng" not in str(caught.value)


def test_a_missing_driver_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, url, extra in (
        ("psycopg", "postgresql://h/db", "postgresql"),
        ("psycopg", "postgres://h/db", "postgresql"),
        ("pymysql", "mysql://h/db", "mysql"),
        ("pymysql", "mariadb://h/db", "mysql"),
        ("grpc", "grpc://h", "grpc"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(BadInput, match=rf"driver is missing: pip install 'lightning-studies\[{extra}\]'"):
                open_storage(url)
