"""Keeps the log of a worker short, whatever its trials print.

Context: what a module prints goes to the worker's log, also from C and from child processes, by file descriptors that
they share; one that prints in a loop would fill the disk. Choice: a thread looks at the file's size and cuts its middle
out; all who write to it append, so that they go on at its new end. Cost: a few lines may be lost in the moment of a
cut, and nothing is cut while C code keeps Python's lock.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from pathlib import Path

MB = 2**20
LOOK_S = 0.1


class ShortLog:
    """The file at `path`: longer than `limit` bytes, it keeps `kept` from its beginning and as many from its end."""

    def __init__(self, path: Path, *, limit: int = 16 * MB, kept: int = 4 * MB) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._limit = limit
        self._kept = kept
        self._cut = 0

    def watch(self) -> None:
        """Look again and again, for as long as this process lives."""
        threading.Thread(target=self._watch, name="short-log", daemon=True).start()

    def look(self) -> None:
        """Cut the middle out, if the file is too long."""
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
            with contextlib.suppress(OSError):  # a full disk, a folder that somebody has deleted
                self.look()
