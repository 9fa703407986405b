"""A study, or the file of its storage, that somebody deletes while it runs: one line says so."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from shell import PLAIN, TIMEOUT_S, Shell

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import StorageUnusable, StudyError
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.creation import open_study
from studies.storage.gone import deletion_told
from studies.storage.lease import Lease
from studies.storage.opening import open_storage, unusable
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome, RunTrial
from studies.worker import WorkerContext, work

MakeSettings = Callable[..., StudySettings]
KINDS = pytest.mark.parametrize("kind", ["sqlite:///{}/s.db", "journal:{}/s.journal"])
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


def context(settings: StudySettings) -> WorkerContext:
    return WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals())


def begun(make: MakeSettings, url: str) -> tuple[StudySettings, BaseStorage]:
    settings = make("launcher=serial", "n_trials=3", f"storage.url={url}", study="plain")
    storage = open_storage(url)
    open_study(settings, storage)
    return settings, storage


def deletes(url: str, *, trains: bool) -> RunTrial:
    """Run a trial in whose middle somebody else deletes the study."""

    def run(trial: optuna.Trial, settings: StudySettings, **given: object) -> Outcome:
        optuna.delete_study(study_name=settings.study_name, storage=open_storage(url))
        return run_trial(trial, settings, **given) if trains else Outcome(TrialState.COMPLETE, (1.0,))  # type: ignore[arg-type]

    return run  # type: ignore[return-value]


@KINDS
@pytest.mark.parametrize("trains", [True, False])
def test_a_worker_says_that_its_study_was_deleted(
    make_settings: MakeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, trains: bool
) -> None:
    url = kind.format(tmp_path)
    settings, storage = begun(make_settings, url)
    with pytest.raises(StudyError, match="study plain is no longer in the storage: somebody deleted it while it ran"):
        work(storage, context=context(settings), run_trial=deletes(url, trains=trains))
    assert "Traceback" not in caplog.text


@KINDS
def test_a_worker_says_that_the_storage_is_gone(make_settings: MakeSettings, tmp_path: Path, kind: str) -> None:
    settings, storage = begun(make_settings, kind.format(tmp_path))

    def run(*_: object, **__: object) -> Outcome:
        for path in tmp_path.glob("s.*"):
            path.unlink()
        return Outcome(TrialState.COMPLETE, (1.0,))

    with pytest.raises(StorageUnusable, match=r"It is damaged, or its file is gone: name another storage\.url") as told:
        work(storage, context=context(settings), run_trial=run)  # type: ignore[arg-type]
    assert "intact" not in str(told.value)
    assert not (tmp_path / "s.db").exists()


def test_a_file_that_was_replaced_is_not_written_on(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    (tmp_path / "s.db").rename(tmp_path / "old.db")
    optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    with pytest.raises(StorageInternalError):
        study.tell(study.ask(), 1.0)


def test_a_lease_of_a_deleted_study_ends_quietly(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    trial = study.ask()
    with Lease(trial, lease_s=0.03):
        (thread,) = [thread for thread in threading.enumerate() if thread.name == f"lease-{trial.number}"]
        optuna.delete_study(study_name="s", storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
        thread.join(10)  # pytest warns of an exception in it
        assert not thread.is_alive()


@pytest.mark.parametrize("url", ["sqlite:///{}/s.db", "journal:{}/s.journal", "memory"])
def test_a_study_that_was_begun_anew_at_once_is_told(tmp_path: Path, url: str) -> None:
    storage = open_storage(url.format(tmp_path))
    study = optuna.create_study(study_name="s", storage=storage)
    study.set_user_attr(schema.STUDY_CREATOR, "host:1:2")
    trial = study.ask()

    def go_on() -> None:
        with deletion_told(storage, "s"):
            optuna.delete_study(study_name="s", storage=storage)
            anew = optuna.create_study(study_name="s", storage=storage)
            anew.set_user_attr(schema.STUDY_CREATOR, "host:1:3")
            trial.set_user_attr("x", 1)
            study.user_attrs  # noqa: B018 - a journal knows a deleted study's trials, SQLite has a study of that number

    with pytest.raises(StudyError, match="study s was deleted and begun anew while it ran"):
        go_on()


def test_another_failure_stays_what_it_is() -> None:
    storage = open_storage("memory")
    optuna.create_study(study_name="s", storage=storage)
    with pytest.raises(KeyError, match="mine"), deletion_told(storage, "s"):
        raise KeyError("mine")
    with pytest.raises(StudyError, match="first"), deletion_told(storage, "other"):
        raise StudyError("first")


@pytest.mark.parametrize("content", ["{broken\n{}\n", '{"op_code": 99}\n', "[]\n", "\xff\n", f"{'[' * 5000}\n"])
def test_a_journal_with_other_lines_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.journal").write_text("{}\n" if content == "[]\n" else content, encoding="latin-1")
    with pytest.raises(StudyError, match=r"storage\.url is journal:.*, which cannot be used"):
        open_storage(f"journal:{tmp_path}/s.journal")


def test_a_journal_that_is_damaged_in_mid_study_is_not_called_intact(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    study = optuna.create_study(storage=open_storage(f"journal:{path}"))
    with path.open("a") as file:
        file.write('{"op_code": 5, "tri\n')
    with pytest.raises(StorageInternalError) as caught:
        study.ask()
    assert re.search("It is damaged, or its file is gone", str(unusable(caught.value)))


@pytest.mark.slow
def test_as_a_person_deletes_a_study_that_runs(shell: Shell) -> None:
    process = shell.start("run", *PLAIN, "n_trials=300", "model.sleep_s=0.1", "workers=2")
    shell.wait_for("plain", lambda trials: len(trials) > 1)
    optuna.delete_study(study_name="plain", storage=open_storage(f"sqlite:///{shell.folder}/outputs/studies.db"))
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, output
    assert "error: study plain is no longer in the storage: somebody deleted it while it ran" in output
    assert "Traceback" not in output
