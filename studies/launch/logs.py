"""The logs of one run of a command: each run has its own folder, so no two commands write the same file.

A log stays short, whatever the trials print. Context: the output of a module goes to the worker's log, also from C code
and child processes, as they share file descriptors. A module that prints in a loop would fill the disk. Choice: a
thread checks the size of the file and cuts its middle out. All writers append, so they go on at the new end. Cost: a
few lines may be lost during a cut, and nothing is cut while C code holds Python's lock.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import stat
import sys
import threading
import time
from pathlib import Path

from studies.secrets.texts import MaskedStream
from studies.text.printable import shortened

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
RECORD_LENGTH = 50_000  # characters
MB = 2**20
LOOK_S = 0.1


def logs_of_this_run(output_dir: Path) -> Path:
    """Return the folder for the logs of this process's workers. Several machines may share `output_dir`."""
    return output_dir / "logs" / f"{platform.node()}-{os.getpid()}"


def worker_log(folder: Path, worker: int) -> Path:
    """Return the path of a worker's log."""
    return folder / f"worker-{worker}.log"


def write_to(path: Path) -> None:
    """Append all output and log records of this process to the file at `path`, and keep it short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for number in (1, 2):  # sys.stdout and sys.stderr may have been replaced
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = MaskedStream(1), MaskedStream(2)
    ShortLog(path).watch()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Printable(LOG_FORMAT))


class ShortLog:
    """The log at `path`. Beyond `limit` bytes, only the first and the last `kept` bytes stay."""

    def __init__(self, path: Path, *, limit: int = 16 * MB, kept: int = 4 * MB) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._limit = limit
        self._kept = kept
        self._cut = 0

    def watch(self) -> None:
        """Start a thread that checks the file as long as this process lives."""
        threading.Thread(target=self._watch, name="short-log", daemon=True).start()

    def look(self) -> None:
        """Cut the middle out if the file is too long."""
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or found.st_size <= self._limit:
            return
        end = os.pread(self._file, self._kept, found.st_size - self._kept)
        self._cut += found.st_size - 2 * self._kept
        os.ftruncate(self._file, self._kept)
        os.write(self._file, f"\n[… {self._cut / MB:,.0f} MB of this log are left out here …]\n".encode() + end)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with contextlib.suppress(OSError):  # a full disk, or a deleted folder
                self.look()


class _Printable(logging.Formatter):
    """Writes each record without control characters and with a bounded length."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record`."""
        return shortened(super().format(record), RECORD_LENGTH)
