"""Ends a process that has run a user's code, whatever that code left running.

At its end Python waits for threads and for processes of multiprocessing, which may never end. So child processes that
are left are ended, and after a grace period the process ends without its threads. Python's own servers of
multiprocessing end by themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studies.text.printable import brief

log = logging.getLogger(__name__)
PROCESSES = Path("/proc")
GRACE_S = 5.0  # for threads to finish
CHILD_S = 1.0  # for a child process between the request to end and its end
OURS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
SHOWN = 80  # characters of a command line
Tell = Callable[[str], None]
_has_run_modules = False


@contextlib.contextmanager
def ends_in_time(tell: Tell = log.warning) -> Iterator[None]:
    """End child processes that the block left running, and end this process soon after the block."""
    with exits_in_time(tell), children_ended(tell):
        yield


@contextlib.contextmanager
def exits_in_time(tell: Tell) -> Iterator[None]:
    """End this process soon after the block, with its exit code, if a user's module has run in the block."""
    global _has_run_modules
    _has_run_modules = False
    code: Any = 1
    try:
        yield
        code = 0
    except SystemExit as leaving:
        code = leaving.code
        raise
    finally:
        if _has_run_modules:
            _end_soon(code if isinstance(code, int) else int(code is not None), tell)


@contextlib.contextmanager
def children_ended(tell: Tell = log.warning) -> Iterator[None]:
    """End child processes that the block left running, with their own children, and tell of them."""
    global _has_run_modules
    _has_run_modules = True
    before = set(descendants(os.getpid()))
    try:
        yield
    finally:
        left = [pid for pid in descendants(os.getpid()) if pid not in before]
        if left:
            told = brief("; ".join(f"{brief(_command_of(pid), SHOWN)}, process {pid}" for pid in left))
            tell(f"child processes were left running, and are ended now ({told})")
            end(left)


def _end_soon(code: int, tell: Tell) -> None:
    """End this process with `code` after `GRACE_S`, unless it has ended by then."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()  # while the reader is there

    def wait() -> None:
        time.sleep(GRACE_S)
        threads = [one.name for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
        waits_for = f"the threads {brief(', '.join(dict.fromkeys(threads)))}" if threads else "what runs at its exit"
        tell(f"the process ends without waiting any longer for {waits_for}, which a module has left")
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    threading.Thread(target=wait, name="end-soon", daemon=True).start()


def descendants(pid: int) -> list[int]:
    """Return the processes started by `pid`, and theirs, without Python's own servers. Outside of Linux: none."""
    found = []
    for child in _children_of(pid):
        if not any(name in _command_of(child) for name in OURS):
            found += [child, *descendants(child)]
    return found


def end(pids: list[int]) -> None:
    """Ask processes to end, and kill the others after `CHILD_S`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + CHILD_S
        while pids and time.monotonic() < deadline:
            pids = [pid for pid in pids if lives(pid)]
            time.sleep(0.02)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROCESSES / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return [child for child in found if lives(child)]


def lives(pid: int) -> bool:
    """Return whether a process runs. An ended process that was not waited for does not."""
    return _figures_of(pid)[:1] not in ([], ["Z"])


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and waits for its parent to collect it."""
    return _figures_of(pid)[:1] == ["Z"]


def parent_of(pid: int) -> int | None:
    """Return the parent of a process, or None if the system does not say."""
    figures = _figures_of(pid)
    return int(figures[1]) if figures else None


def _figures_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, none for a process that is gone."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (PROCESSES / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""
