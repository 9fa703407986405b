"""Starts processes that have torch and Lightning loaded, and watches them.

Context: the system may kill any process, also the fork server, which alone knows how its children end. Choice: a system
handle on each process (pidfd) shows when it ends, so workers outlive their server. Cost: how an orphan ended remains
unknown. macOS has no such handles. There the server is asked.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

from studies.errors import StudyError
from studies.launch.processes.restarts import STARTS, pause_s
from studies.process.leaving import descendants, end, lives, parent_of
from studies.process.signals import SIGNALS, ctrl_c_blocked
from studies.secrets.texts import known, run_knowing

REAP_S = 0.5  # until the server reports how its child ended
UNKNOWN = 255  # multiprocessing's exit code if the fork server is gone; otherwise a real exit code
BY_THE_SYSTEM = "killed by the system (out of memory?)"

Reader = multiprocessing.connection.Connection
Writer = multiprocessing.connection.Connection


class Child:
    """A process that this one has started."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._handle = _handle_of(process)
        self._server = parent_of(self.pid)

    @property
    def pid(self) -> int:
        """Its number in the system."""
        assert self._process.pid is not None
        return self._process.pid

    def fileno(self) -> int:
        """Return a descriptor for `multiprocessing.connection.wait` that becomes readable when the process ends."""
        return self._process.sentinel if self._handle is None else self._handle

    def is_alive(self) -> bool:
        """Return whether the process has not ended."""
        return not self.join(0.0)

    def join(self, seconds: float | None) -> bool:
        """Wait for the end of the process, for ever if `seconds` is None. Return whether it has ended."""
        return bool(multiprocessing.connection.wait([self.fileno()], timeout=seconds))

    def exit_code(self) -> int | None:
        """Return the exit code of an ended process, negative for a signal, or None if it is unknown."""
        self._process.join(REAP_S)
        code = self._process.exitcode
        return None if code == UNKNOWN and not self._has_server() else code

    def _has_server(self) -> bool:
        """Return whether the fork server of this process still lives."""
        time.sleep(REAP_S)  # a dying server closes its pipes first
        return self._server is not None and lives(self._server)

    def was_killed(self) -> bool:
        """Return whether an ended process was killed from outside, as the system does when memory is short."""
        return self.exit_code() in (None, -signal.SIGKILL)

    def in_words(self) -> str:
        """Return how the process ended, for a message."""
        code = self.exit_code()
        if code is None or code == -signal.SIGKILL:
            return BY_THE_SYSTEM
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is alive."""
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)
            elif self._process.is_alive():
                os.kill(self.pid, number)

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def pipe() -> tuple[Reader, Writer]:
    """Return a reading and a writing end."""
    return _context().Pipe(duplex=False)


def start(target: Callable[..., None], arguments: Sequence[Any], *, name: str) -> Child:
    """Start a process that runs `target` and has torch and Lightning loaded.

    It masks the same secrets as this process, as its arguments may hold values of the environment. Raises `StudyError`
    after `STARTS` failed starts.
    """
    process = _context().Process(target=run_knowing, args=(known(), target, tuple(arguments)), name=name)
    for n_failed in range(STARTS):
        time.sleep(pause_s(n_failed))
        try:
            with ctrl_c_blocked(*SIGNALS):  # the server too: its death would look like that of all workers
                process.start()
            return Child(process)
        except (EOFError, OSError) as error:
            last = error
    raise StudyError(
        f"no worker process could be started in {STARTS} tries ({last or type(last).__name__}): see that there is "
        "memory for one"
    )


def stop(children: Sequence[Child], *, grace_s: float) -> None:
    """Ask `children` to end and kill the others after `grace_s`. Also end the processes that they started."""
    begun = [pid for child in children if child.is_alive() for pid in descendants(child.pid)]
    for child in children:
        child.send(signal.SIGTERM)
    until = time.monotonic() + grace_s
    for child in children:
        if not child.join(max(0.0, until - time.monotonic())):
            child.send(signal.SIGKILL)
            child.join(None)
    end(begun)


def _context() -> ForkServerContext:
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studies.launch.processes.preload"])
    return context


def _handle_of(process: BaseProcess) -> int | None:
    """Return the system's handle on a process, or None if there is none."""
    if not hasattr(os, "pidfd_open") or process.pid is None:
        return None
    try:
        return os.pidfd_open(process.pid)
    except ProcessLookupError:  # ended and already waited for
        return None
    except OSError:  # an old kernel, or a container that forbids it
        return None
