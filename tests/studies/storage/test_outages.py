"""A server that goes away in mid-study: the study waits, goes on and loses nothing."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from services.mariadb import MariaDB
from services.postgresql import PostgreSQL
from services.server import Server
from shell import PLAIN, TIMEOUT_S, Shell, worker_of
from sleepers import Sleepers

from studies import schema
from studies.errors import BadInput, StorageUnusable
from studies.process.signals import StopSignals
from studies.storage.lease import Lease, Watch
from studies.storage.opening import open_patiently, open_storage
from studies.storage.patience import Patience

SERVERS = ["postgresql", "mariadb"]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of the kind that the test asks for, which it may stop; it runs again for the next test."""
    found = request.getfixturevalue(f"{getattr(request, 'param', 'postgresql')}_server")
    assert isinstance(found, PostgreSQL | MariaDB)
    yield found
    if found.process is None:
        found.start()


@pytest.mark.parametrize("server", ["postgresql", pytest.param("mariadb", marks=pytest.mark.slow)], indirect=True)
def test_an_outage_of_seconds_costs_sleeping_workers_no_trial(
    server: Server, sleepers: Callable[..., Sleepers]
) -> None:
    group = sleepers(server.new_database(), "n_trials=24", seconds=0.3, lease_s=6)
    group.start(3)
    group.wait_for(lambda: group.n_complete() >= 4)
    server.stop()
    time.sleep(3)
    server.start()
    group.leave()
    group.check_exact()
    assert [trial for trial in group.study().trials if schema.RETRY_OF in trial.user_attrs] == []


@pytest.mark.slow
def test_a_crash_of_the_server_and_an_outage_longer_than_the_lease_cost_no_trial(
    server: Server, sleepers: Callable[..., Sleepers]
) -> None:
    group = sleepers(server.new_database(), "n_trials=30", seconds=0.6, lease_s=9)
    group.start(4)
    group.wait_for(lambda: group.n_complete() >= 4)
    server.kill()
    time.sleep(20)
    server.start()
    group.leave()
    group.check_exact()


@pytest.mark.slow
def test_a_beating_worker_keeps_its_trial_over_an_outage_longer_than_the_lease(server: Server) -> None:
    url = server.new_database()
    ours, watchers = open_storage(url), open_storage(url)
    study = optuna.create_study(study_name="s", storage=ours)
    trial = study.ask()
    trial.set_user_attr(schema.WORKER, "elsewhere:1:1")
    watched = optuna.load_study(study_name="s", storage=watchers)
    watch = Watch(watchers, lease_s=4)
    with Lease(trial, lease_s=4):
        back = threading.Timer(6, server.start)
        for look in range(80):
            if look == 10:
                server.stop()
                back.start()
            assert not watch.release_stale(watched, watched.get_trials(deepcopy=False))
            time.sleep(0.1)
        back.join()
    assert study.trials[0].user_attrs[schema.LEASE] >= 2
    assert study.trials[0].state == TrialState.RUNNING


def test_a_worker_that_is_started_during_an_outage_waits_for_its_end(server: Server) -> None:
    url = server.new_database()
    server.stop()
    threading.Timer(2, server.start).start()
    assert open_patiently(url, patience=Patience(60)).get_all_studies() == []


@pytest.mark.timeout(120)
def test_a_worker_gives_up_when_its_patience_is_over_or_a_signal_comes(server: Server) -> None:
    url = server.new_database()
    server.stop()
    with pytest.raises(StorageUnusable, match=r"the storage failed: .*refused"):
        open_patiently(url, patience=Patience(0.5))
    signals = StopSignals()
    threading.Timer(0.5, signals.stop, ("SIGTERM",)).start()
    with pytest.raises(StorageUnusable):
        open_patiently(url, patience=Patience(600, signals.wait))


def test_a_command_tells_at_once_that_a_server_is_unreachable(server: Server) -> None:
    url = server.new_database()
    server.stop()
    with pytest.raises(BadInput, match=r"storage\.url is postgresql://studies:\*\*\*@.*refused.*start the server"):
        open_storage(url)


@pytest.mark.timeout(120)
def test_a_stop_signal_ends_a_call_that_waits(server: Server) -> None:
    signals = StopSignals()
    storage = open_storage(server.new_database(), patience=Patience(600, signals.wait))
    study = optuna.create_study(study_name="s", storage=storage)
    server.stop()
    threading.Timer(1, signals.stop, ("SIGTERM",)).start()
    with pytest.raises(StorageInternalError):
        study.get_trials()


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_server_that_is_away_for_20_s_in_mid_study_costs_a_study_nothing(shell: Shell, server: Server) -> None:
    url = server.new_database()
    shell.environment["STUDIES_STORAGE_URL"] = url
    storage = "postgresql" if isinstance(server, PostgreSQL) else "mysql"
    arguments = (*PLAIN, "n_trials=30", "workers=2", "model.sleep_s=0.03", f"storage={storage}", "storage.lease_s=12")
    process = shell.start("run", *arguments)
    log = shell.wait_for_log("plain", "*/worker-0.log", "COMPLETE")
    server.stop()
    time.sleep(20)
    server.start()
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = optuna.load_study(study_name="plain", storage=open_storage(url)).trials
    run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
    assert [trial.state for trial in run] == [TrialState.COMPLETE] * 30
    assert not [trial for trial in trials if schema.RETRY_OF in trial.user_attrs]
    for text in (output, log.read_text()):
        assert len(re.findall(r"the storage does not answer \(.*\): waiting up to 600 s", text)) == 1
        assert len(re.findall(r"the storage is back after \d+ s", text)) == 1
        assert "Traceback" not in text


@pytest.mark.slow
def test_a_worker_that_is_called_off_during_an_outage_does_not_end_the_study(shell: Shell, server: Server) -> None:
    shell.environment["STUDIES_STORAGE_URL"] = url = server.new_database()
    arguments = ("n_trials=20", "workers=2", "model.sleep_s=0.05", "storage=postgresql", "storage.lease_s=6")
    process = shell.start("run", *PLAIN, *arguments)
    shell.wait_for_log("plain", "*/worker-0.log", "COMPLETE")
    running = optuna.load_study(study_name="plain", storage=open_storage(url)).get_trials(states=[TrialState.RUNNING])
    server.stop()
    shell.wait_for_log("plain", "*/worker-*.log", "the storage does not answer")
    os.kill(worker_of(running[0]), signal.SIGTERM)
    time.sleep(3)
    server.start()
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    assert "a new one takes its place" in output
    trials = optuna.load_study(study_name="plain", storage=open_storage(url)).trials
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 20
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]


@pytest.mark.slow
def test_ctrl_c_while_the_server_is_away_ends_a_command_as_ctrl_c_does(shell: Shell, server: Server) -> None:
    shell.environment["STUDIES_STORAGE_URL"] = server.new_database()
    process = shell.start("run", *PLAIN, "n_trials=100", "workers=2", "model.sleep_s=0.05", "storage=postgresql")
    shell.wait_for_log("plain", "*/worker-0.log", "begins")
    server.stop()
    shell.wait_for_log("plain", "*/worker-0.log", "the storage does not answer")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)  # the patience lasts for longer
    assert process.returncode == 130, output
    assert "interrupted (SIGINT)" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_study_gives_up_when_the_patience_is_over_with_one_message(shell: Shell, server: Server) -> None:
    url = server.new_database()
    shell.environment["STUDIES_STORAGE_URL"] = url
    arguments = (*PLAIN, "n_trials=100", "workers=2", "model.sleep_s=0.05")
    process = shell.start("run", *arguments, "storage=postgresql", "storage.patience_s=1")
    shell.wait_for_log("plain", "*/worker-0.log", "begins")
    server.stop()
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, output
    assert "error: the storage failed: " in output
    assert "Traceback" not in output
