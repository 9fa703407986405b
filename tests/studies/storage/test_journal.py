"""The journal: one file, whose lock ends with the process that held it."""

from __future__ import annotations

import fcntl
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from studies.errors import BadInput
from studies.storage.journal import JournalLock
from studies.storage.opening import open_storage

HOLDER = """
import sys, time
from pathlib import Path
from studies.storage.journal import JournalLock
JournalLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(100)
"""


def test_a_journal_and_its_folder_are_made_also_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = optuna.create_study(storage=open_storage("journal:deep/s.journal"))
    study.tell(study.ask(), 1.0)
    assert (tmp_path / "deep" / "s.journal").exists()
    assert len(study.trials) == 1


def test_a_killed_process_does_not_leave_the_journal_locked(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    study = optuna.create_study(storage=open_storage(f"journal:{path}"))
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    study.tell(study.ask(), 1.0)
    assert study.trials[0].value == 1.0


@pytest.mark.timeout(20)
def test_a_process_that_is_forked_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    """A DataLoader's workers are forked while the lease's thread may write."""
    path = tmp_path / "s.journal"
    path.touch()
    lock = JournalLock(path)
    lock.acquire()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    try:
        lock.release()
        with Path(f"{path}.lock").open() as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        child.kill()
        child.join()


@pytest.mark.timeout(20)
def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    path.touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    waiter = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(2)
        holder.kill()
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "held\n"
    finally:
        for process in (holder, waiter):
            process.kill()
            process.communicate()


@pytest.mark.parametrize("begin", [b'{"op_code":8,"tri', b'{"a":"' + b"x" * 200_000])
def test_a_line_that_was_cut_off_costs_nothing_but_itself(tmp_path: Path, begin: bytes) -> None:
    """A writer that is killed, or whose disk is full, may leave one; Optuna could read nothing after it."""
    path = tmp_path / "s.journal"
    study = optuna.create_study(study_name="s", storage=open_storage(f"journal:{path}"))
    study.tell(study.ask(), 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole + begin)
    again = optuna.load_study(study_name="s", storage=open_storage(f"journal:{path}"))
    for value in (2.0, 3.0):
        again.tell(again.ask(), value)
    assert [trial.value for trial in study.trials] == [1.0, 2.0, 3.0]
    assert path.read_bytes().startswith(whole + b'{"')


def test_a_whole_journal_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    for text in (b"", b'{"a":1}\n', b'{"a":1}\n{"a":2}\n'):
        path.write_bytes(text)
        lock = JournalLock(path)
        lock.acquire()
        lock.release()
        assert path.read_bytes() == text


@pytest.mark.parametrize("url", ["journal:", "journal:///s.journal"])
def test_a_journal_without_a_clear_path_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"names no file: write journal:outputs|which names no file"):
        open_storage(url)


def test_a_file_that_is_no_journal_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    with pytest.raises(BadInput, match="it is no journal"):
        open_storage(f"journal:{path}")
    assert path.read_text() == "my notes"
