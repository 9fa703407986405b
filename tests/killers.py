"""Kills processes of a command as a system short of memory does: any that is large, at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

LARGE_MB = 150
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def session_of(command: subprocess.Popen[str]) -> Iterator[tuple[int, float]]:
    """The processes of a command that has a session of its own, without itself: number and resident memory in MB."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
            if session == command.pid != int(folder.name):
                yield int(folder.name), int((folder / "statm").read_text().split()[1]) * PAGE_MB


def kill_large_ones(command: subprocess.Popen[str], rng: random.Random, *, mean_s: float) -> int:
    """Kill one large process after each pause, as long as the command lives; how many were killed."""
    n_killed = 0
    while command.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(rng.expovariate(1 / mean_s))
            return n_killed
        large = [pid for pid, size in session_of(command) if size > LARGE_MB]
        if large:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(large), signal.SIGKILL)
                n_killed += 1
    return n_killed


def kill_servers(command: subprocess.Popen[str], *, times: int, after_s: float, only_largest: bool) -> None:
    """Kill the fork server so often, each time so long after it has begun to load: the largest of its processes, or all
    of them. Until the first time that it has loaded, a command has no other processes of this kind."""
    n_killed = 0
    while n_killed < times and command.poll() is None:
        if not _servers(command):
            time.sleep(0.02)
            continue
        time.sleep(after_s)
        found = sorted(_servers(command), key=lambda process: process[1])
        for pid, _ in found[-1:] if only_largest else found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        n_killed += bool(found)


def _servers(command: subprocess.Popen[str]) -> list[tuple[int, float]]:
    found = []
    for pid, size in session_of(command):
        with contextlib.suppress(OSError):
            if b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append((pid, size))
    return found
