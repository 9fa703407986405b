from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.lease import Lease, Watch, is_dead, worker_id
from studies.storage.opening import open_storage

ELSEWHERE = "another-machine:1:1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(worker: str) -> tuple[optuna.Study, optuna.Trial, Watch, Clock]:
    study, clock = optuna.create_study(), Clock()
    trial = study.ask()
    trial.set_user_attr(schema.WORKER, worker)
    return study, trial, Watch(study._storage, lease_s=60, clock=clock), clock


def look(study: optuna.Study, watch: Watch) -> bool:
    return watch.release_stale(study, study.get_trials(deepcopy=False))


def test_a_worker_of_another_machine_that_falls_silent_loses_its_trial_after_a_whole_lease() -> None:
    study, _, watch, clock = watched(ELSEWHERE)
    assert not look(study, watch)
    for clock.now in (20, 40, 60):
        assert not look(study, watch)
    clock.now = 61
    assert look(study, watch)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert failure_of(trial) == Failure.KILLED
    assert "another-machine" in trial.user_attrs[schema.FAILURE_MESSAGE]


def test_a_sign_of_life_begins_the_lease_anew() -> None:
    study, trial, watch, clock = watched(ELSEWHERE)
    for beat in range(5):
        if beat < 4:
            trial.set_user_attr(schema.LEASE, beat)
        else:
            trial.report(1.0, 1)
        for _ in range(4):
            assert not look(study, watch)
            clock.now += 15


def test_an_outage_or_a_stall_of_the_watcher_counts_for_a_third_of_a_lease_at_most() -> None:
    study, _, watch, clock = watched(ELSEWHERE)
    for clock.now in (0, 1000, 5000, 9000):
        assert not look(study, watch)
    clock.now += 1
    assert look(study, watch)


def test_a_worker_that_was_held_up_by_the_same_outage_keeps_its_trial() -> None:
    study, trial, watch, clock = watched(ELSEWHERE)
    assert not look(study, watch)
    clock.now = 19
    assert not look(study, watch)
    clock.now = 700  # the storage is back: the watcher looks at once, the worker's beat comes within seconds
    assert not look(study, watch)
    clock.now = 705
    assert not look(study, watch)
    trial.set_user_attr(schema.LEASE, 1)
    for clock.now in (706, 726, 746, 766):
        assert not look(study, watch)
    clock.now = 767
    assert look(study, watch)


def test_a_dead_process_of_this_machine_loses_its_trial_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    place = worker_id().rpartition(":")[0]
    study, _, watch, _ = watched(f"{place}:{process.pid}")
    assert look(study, watch)


def test_a_process_that_ended_and_was_not_collected_counts_as_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    place = worker_id().rpartition(":")[0]
    deadline = time.monotonic() + 30
    while not is_dead(f"{place}:{process.pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.wait()


def test_this_process_is_alive_and_others_cannot_be_judged_from_here() -> None:
    assert not is_dead(worker_id())
    assert not is_dead(ELSEWHERE)
    assert not is_dead("")


def test_of_two_watchers_one_sets_the_trial_free() -> None:
    study, _, first, clock = watched(ELSEWHERE)
    second = Watch(study._storage, lease_s=60, clock=clock)
    for clock.now in (0, 20, 40, 60):
        look(study, first), look(study, second)
    clock.now = 61
    stale = study.get_trials()
    first.release_stale(study, stale)
    second.release_stale(study, stale)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


def test_a_lease_beats_while_it_is_held_and_no_longer(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    trial = study.ask()
    with Lease(trial, lease_s=0.3):
        time.sleep(0.35)
    beats = study.trials[0].user_attrs[schema.LEASE]
    assert beats >= 1
    time.sleep(0.3)
    assert study.trials[0].user_attrs[schema.LEASE] == beats


def test_a_lease_on_a_trial_that_was_taken_over_ends_quietly(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    trial = study.ask()
    with Lease(trial, lease_s=0.09):
        study.tell(trial.number, state=TrialState.FAIL)
        time.sleep(0.2)
    assert study.trials[0].state == TrialState.FAIL


def test_short_trials_do_not_beat_at_all(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    trial = study.ask()
    with Lease(trial, lease_s=60):
        pass
    assert schema.LEASE not in study.trials[0].user_attrs


def test_a_process_of_another_boot_cannot_be_judged_though_host_and_namespace_are_called_alike() -> None:
    host, boot, namespace, _ = worker_id().split(":")
    assert not is_dead(f"{host}:{'0' * len(boot)}:{namespace}:999999")
    assert is_dead(f"{host}:{boot}:{namespace}:999999")
