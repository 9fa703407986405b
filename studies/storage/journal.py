"""Optuna's storage in a journal: one file that grows by a line a change. For the processes of one machine.

Optuna's own locks are files, and a killed worker leaves its lock behind. The others then wait for half a minute. If two
of them remove such a lock at once, one may remove the other's new lock. The system's file lock ends with its process.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

BLOCK = 1 << 16  # bytes
OF_OTHER_LINES = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)  # read as JSON


def open_journal(path: Path) -> JournalStorage:
    """Open the storage in the journal at `path`, and create the file and its folder if they are missing.

    Raises OSError if `path` holds something else, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = read_journal(path)
    lock = JournalLock(path)
    lock.acquire()
    lock.release()
    return storage


def read_journal(path: Path) -> JournalStorage:
    """Open the storage in the journal at `path`. The file is not touched before something is written.

    Raises OSError if `path` holds something else.
    """
    _refuse_other_files(path)
    lock: Any = JournalLock(path)
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OF_OTHER_LINES as error:
        why = type(error).__name__
    raise OSError(f"it is damaged: a line of it is none of Optuna's ({why})")


class JournalLock:
    """The lock of the one process that writes to the journal at `path`. Optuna itself keeps its threads apart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        self._descriptor = os.open(f"{self._path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        _cut_broken_line(self._path)
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # closing alone would not, if a process was forked meanwhile
            os.close(self._descriptor)
            self._descriptor = None


def _refuse_other_files(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        begin = file.read(1)
    if begin not in (b"", b"{"):
        raise OSError("it is no journal")


def _cut_broken_line(path: Path) -> None:
    """Remove an incomplete last line, left by a killed writer or a full disk.

    Raises OSError if the file is gone: writing on would begin another journal.
    """
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - BLOCK)
            file.seek(begin)
            line_end = file.read(end - begin).rfind(b"\n")
            if line_end >= 0:
                end = begin + line_end + 1
                break
            end = begin
        if end < size:
            file.truncate(end)
