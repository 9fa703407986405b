"""Keeps the fork server alive when the system kills one of its processes.

Context: a system short of memory kills the largest processes. The fork server needs seconds to load, and no worker can
be replaced without it. Choice: at each checkpoint the server goes on in a child of its own. The parent waits and forks
another child if that one is killed. So little is lost, and the command knows the smallest process only. Cost: some
sleeping processes, which share their memory with the server.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import time
from typing import IO

from studies.launch.processes.restarts import STARTS, pause_s

_progress: list[int] = []  # the pipe to the parent at the last checkpoint, if any
_turn: list[IO[bytes]] = []  # the lock file of the serving process


def is_fork_server() -> bool:
    """Return whether this process was started as a fork server."""
    return any("multiprocessing.forkserver" in argument for argument in sys.orig_argv)


def checkpoint() -> None:
    """Go on in a child. The parent stays here and forks another child whenever one is killed.

    The parent ends as its child does, or after `STARTS` children in a row that came to nothing.
    """
    _tell_progress()
    if not _turn:
        _turn.append(tempfile.TemporaryFile())  # noqa: SIM115 - open as long as the process
    n_failed = 0
    while n_failed < STARTS:
        time.sleep(pause_s(n_failed))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _progress.append(writing)
            return
        os.close(writing)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            os._exit(os.waitstatus_to_exitcode(status))
        n_failed = 0 if os.read(reading, 1) else n_failed + 1
        os.close(reading)
    os._exit(1)


def take_turn() -> None:
    """Wait until no other child serves. There are two of them if a parent was killed and its child was not."""
    _tell_progress()
    if _turn:
        fcntl.lockf(_turn[0], fcntl.LOCK_EX)  # the system releases it when this process ends; no worker inherits it


def _tell_progress() -> None:
    if _progress:
        with contextlib.suppress(BrokenPipeError):  # the parent was killed: see `take_turn`
            os.write(_progress[-1], b".")
        os.close(_progress.pop())
