"""Waiting out an outage: what is waited for, how long, what is told, and what a second try does."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from studies.storage.outage import passes, reason
from studies.storage.patience import Outages, Patience, PatientStorage


class Refused(Exception):
    """As a driver raises it, with the SQLSTATE of a server that is starting up."""

    sqlstate = "57P03"


def away() -> StorageInternalError:
    return wrapped(sqlalchemy.exc.OperationalError("SELECT 1", {}, Refused("the server is away")))


def wrapped(error: Exception) -> StorageInternalError:
    """As Optuna wraps an error of its database."""
    outer = StorageInternalError("An exception is raised during the commit.")
    outer.__cause__ = error
    return outer


class Clock:
    """Time that passes only in pauses."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.now, self.stop_at = 0.0, stop_at
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return self.now >= self.stop_at


def outages(clock: Clock, *, patience_s: float = 600) -> Outages:
    return Outages(Patience(patience_s, clock.pause), clock=clock)


def back_at(clock: Clock, seconds: float) -> Callable[[], str]:
    """A call to a storage that is away until then."""

    def call() -> str:
        if clock.now < seconds:
            raise away()
        return "answer"

    return call


def test_an_outage_is_waited_out_and_told_once_at_its_begin_and_once_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    assert outages(clock).outlast(back_at(clock, 20)) == "answer"
    assert max(clock.pauses) <= 2
    assert 20 <= clock.now <= 22
    begin, end = (record.getMessage() for record in caplog.records)
    assert begin == "the storage does not answer (the server is away): waiting up to 600 s"
    assert end.startswith("the storage is back after 2")


def test_a_connection_that_works_at_the_second_try_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    clock, answers = Clock(), [away()]

    def call() -> str:
        if answers:
            raise answers.pop()
        return "answer"

    assert outages(clock).outlast(call) == "answer"
    assert (clock.pauses, caplog.records) == ([], [])


def test_after_the_patience_the_last_error_comes_through_and_later_calls_wait_no_more() -> None:
    clock = Clock()
    patient = outages(clock, patience_s=60)
    with pytest.raises(StorageInternalError):
        patient.outlast(back_at(clock, 1000))
    assert clock.now == pytest.approx(60)
    n_pauses = len(clock.pauses)
    with pytest.raises(StorageInternalError):
        patient.outlast(back_at(clock, 1000))
    assert len(clock.pauses) == n_pauses


def test_an_outage_that_is_over_leaves_the_whole_patience_for_the_next() -> None:
    clock = Clock()
    patient = outages(clock, patience_s=60)
    for end in (50, 100):
        assert patient.outlast(back_at(clock, end)) == "answer"


def test_an_answer_out_of_the_cache_does_not_end_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(stop_at=10)
    patient = outages(clock)
    with pytest.raises(StorageInternalError):
        patient.outlast(back_at(clock, 100))
    assert patient.outlast(lambda: "cached", reaches=False) == "cached"
    assert not [record for record in caplog.records if "is back" in record.getMessage()]


def test_a_stop_signal_ends_the_waiting_at_once_but_a_broken_connection_is_still_tried_anew() -> None:
    clock = Clock(stop_at=0)
    with pytest.raises(StorageInternalError):
        outages(clock).outlast(back_at(clock, 100))
    assert len(clock.pauses) == 1
    tries = [away()]

    def broken_once() -> str:
        if tries:
            raise tries.pop()
        return "answer"

    assert outages(clock).outlast(broken_once) == "answer"


def test_threads_that_wait_for_the_same_storage_tell_of_it_once(caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    patient = Outages(Patience(60, lambda _s: ended.wait(0.01) and False))

    def call() -> str:
        if not ended.is_set():
            raise away()
        return "answer"

    threads = [threading.Thread(target=patient.outlast, args=(call,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    threading.Timer(0.2, ended.set).start()
    for thread in threads:
        thread.join()
    assert len([record for record in caplog.records if "does not answer" in record.getMessage()]) == 1
    assert len([record for record in caplog.records if "is back" in record.getMessage()]) == 1


class Driver(Exception):
    sqlstate: str | None = None


def of(state: str | None, *args: object, kind: type = sqlalchemy.exc.OperationalError) -> StorageInternalError:
    error = Driver(*args)
    error.sqlstate = state
    return wrapped(kind("SELECT 1", {}, error))


@pytest.mark.parametrize(
    "error",
    [
        of("57P01", "terminating connection due to administrator command"),
        of("08006", "connection failure"),
        of("40P01", "deadlock detected"),
        of("40001", "could not serialize access"),
        of(None, "connection failed: connection to server at 127.0.0.1, port 5432 failed: Connection refused"),
        of(None, "connection failed: FATAL:  the database system is starting up"),
        of("HY000", 2003, "Can't connect to MySQL server"),
        of("HY000", 2013, "Lost connection to MySQL server during query"),
        of("40001", 1213, "Deadlock found when trying to get lock"),
        of("HY000", 1205, "Lock wait timeout exceeded"),
        of(None, 0, "", kind=sqlalchemy.exc.InterfaceError),
        wrapped(sqlalchemy.exc.TimeoutError("QueuePool limit reached")),
        sqlalchemy.exc.DBAPIError("SELECT 1", {}, Driver("anything"), connection_invalidated=True),
    ],
)
def test_what_passes_by_itself_is_waited_for(error: Exception) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        of("53100", "could not extend file: No space left on device"),
        of("42501", "permission denied for table studies", kind=sqlalchemy.exc.ProgrammingError),
        of(None, 'connection failed: FATAL:  password authentication failed for user "me"'),
        of(None, 'connection failed: FATAL:  database "x" does not exist'),
        of("HY000", 1114, "The table is full"),
        of("28000", 1045, "Access denied for user"),
        of("22001", 1406, "Data too long for column", kind=sqlalchemy.exc.DataError),
        wrapped(sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("database or disk is full"))),
        wrapped(sqlalchemy.exc.DatabaseError("SELECT 1", {}, sqlite3.DatabaseError("file is not a database"))),
        UpdateFinishedTrialError("finished"),
        KeyError("no such trial"),
        OSError(28, "No space left on device"),
    ],
)
def test_what_somebody_has_to_mend_comes_through_at_once(error: Exception) -> None:
    assert not passes(error)


def test_a_read_that_optuna_repeats_on_a_broken_connection_is_still_an_outage() -> None:
    """Optuna then asks again in the same session, and SQLAlchemy complains of the transaction, not of the server."""
    pending = sqlalchemy.exc.PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")
    pending.__context__ = away().__cause__
    assert passes(wrapped(pending))
    assert reason(wrapped(pending)) == "the server is away"


class LosesAnswers(InMemoryStorage):
    """Carries every change out, and loses the answer to the first try of each."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[object] = set()

    def _lose(self, *call: object) -> None:
        if call not in self.lost:
            self.lost.add(call)
            raise away()

    def create_new_study(self, directions: Sequence[object], study_name: str | None = None) -> int:
        study_id = super().create_new_study(directions, study_name)  # type: ignore[arg-type]
        self._lose("study", study_name)
        return study_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        answer = super().set_trial_state_values(trial_id, state, values)
        self._lose("state", trial_id, state)
        return answer

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._lose("report", trial_id, step)

    def set_trial_user_attr(self, trial_id: int, key: str, value: object) -> None:
        super().set_trial_user_attr(trial_id, key, value)
        self._lose("attribute", trial_id, key)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: object
    ) -> None:
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)  # type: ignore[arg-type]
        self._lose("param", trial_id, param_name)

    def delete_study(self, study_id: int) -> None:
        super().delete_study(study_id)
        self._lose("delete", study_id)


def patient(storage: BaseStorage) -> PatientStorage:
    return PatientStorage(storage, patience=Patience(60, Clock().pause))


def test_a_change_whose_answer_was_lost_is_made_once() -> None:
    storage = patient(LosesAnswers())
    study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
    for value in (1.0, 2.0):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("a", 1)
        trial.report(value, 1)
        study.tell(trial, value)
    pruned = study.ask()
    pruned.report(0.5, 1)
    study.tell(pruned, state=TrialState.PRUNED)
    failed = study.ask()
    study.tell(failed, state=TrialState.FAIL)
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert [trial.state for trial in study.trials] == states
    assert [trial.value for trial in study.trials] == [1.0, 2.0, 0.5, None]
    optuna.delete_study(study_name="s", storage=storage)
    assert storage.get_all_studies() == []


class TakenOver(InMemoryStorage):
    """Another watcher ends the trial while the worker's own word is lost."""

    lost = False

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if not self.lost:
            self.lost = True
            super().set_trial_state_values(trial_id, TrialState.FAIL)
            raise away()
        return super().set_trial_state_values(trial_id, state, values)


def test_a_trial_that_another_one_ended_meanwhile_is_not_taken_for_ours() -> None:
    study = optuna.create_study(storage=patient(TakenOver()))
    with pytest.raises(UpdateFinishedTrialError):
        study.tell(study.ask(), 1.0)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


class Broken(InMemoryStorage):
    def get_all_trials(self, *args: object, **options: object) -> list[optuna.trial.FrozenTrial]:
        raise OSError(28, "No space left on device")


def test_a_broken_storage_of_any_kind_raises_optunas_own_error() -> None:
    storage = patient(Broken())
    with pytest.raises(StorageInternalError, match="No space left on device"):
        storage.get_n_trials(0)


def test_every_method_of_optunas_storages_goes_through(tmp_path: Path) -> None:
    """Those that a storage has beyond the abstract ones too; optuna.load_study does not wrap it once more."""
    own = {name for name in vars(PatientStorage) if not name.startswith("_")}
    assert own >= {name for name in BaseStorage.__abstractmethods__ if not name.startswith("_")}
    storage = patient(InMemoryStorage())
    study = optuna.create_study(storage=storage, study_name="s")
    study.tell(study.ask(), 1.0)
    trial = study.trials[0]
    assert optuna.load_study(study_name="s", storage=storage)._storage is storage
    assert storage.get_n_trials(study._study_id, TrialState.COMPLETE) == 1
    assert storage.get_trial_number_from_id(trial._trial_id) == 0
    assert storage.get_trial_id_from_study_id_trial_number(study._study_id, 0) == trial._trial_id
    assert storage.get_best_trial(study._study_id).value == 1.0
    with pytest.raises(UpdateFinishedTrialError):
        storage.check_trial_is_updatable(trial._trial_id, trial.state)
    storage.remove_session()


def test_a_call_that_fails_for_another_reason_is_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyError):
        patient(InMemoryStorage()).get_study_id_from_name("none")
    assert [record for record in caplog.records if record.name.startswith("studies")] == []


class Counting(InMemoryStorage):
    """Counts how often all trials are read."""

    n_reads = 0

    def get_all_trials(self, *args: Any, **options: Any) -> list[optuna.trial.FrozenTrial]:
        self.n_reads += 1
        return super().get_all_trials(*args, **options)


def test_what_was_just_read_is_not_read_again_to_find_waiting_trials() -> None:
    backend = Counting()
    storage = patient(backend)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"x": 0.5})
    study.enqueue_trial({"x": 0.7})
    trials = study.get_trials(deepcopy=False)
    assert study.ask().number == 0  # as another worker may have done since the read
    before = backend.n_reads
    with storage.having_read(trials):
        trial = study.ask()
    assert backend.n_reads == before
    assert (trial.number, trial.suggest_float("x", 0, 1)) == (1, 0.7)
    assert study.ask().number == 2
    assert backend.n_reads == before + 1
