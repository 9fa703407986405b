"""Ctrl-C, SIGTERM, pre-emption and the loss of the parent process, as a flag for long work to ask.

Batch systems send SIGUSR1 or SIGUSR2 some time before they end a job (SLURM's `--signal`, submitit).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)  # the end follows later
SIGNALS = (signal.SIGINT, signal.SIGTERM, *WARNINGS)


class EndedBySignal(SystemExit):
    """A signal ends the command. A user's module raises only a plain SystemExit."""


class TimeIsUp(BaseException):
    """The time is up. This is no error of the interrupted code."""


class StopSignals:
    """Remembers the first signal that asks this process to stop.

    A second signal ends the process at once, with two exceptions. After a mere warning the first real signal is
    expected. A signal to a whole process group reaches a worker twice: directly, and from its parent.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: str | None = None
        self._is_worker = False
        self._before: dict[int, Any] = {}

    def install(self) -> StopSignals:
        """Handle the signals from now on. Only in the main thread."""
        for number in SIGNALS:
            before = signal.signal(number, self._handle)
            self._before.setdefault(number, before)
        return self

    def hand_back(self) -> None:
        """Restore the handlers from before `install`."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install_in_worker(self) -> StopSignals:
        """Handle the signals in a process that a parent looks after.

        Ctrl-C in a terminal reaches both, so it is ignored here, and the parent passes it on as SIGTERM. The worker
        leaves when its parent is gone. The parent ends a worker that takes too long.
        """
        self._is_worker = True
        self.install()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the parent may have blocked them
        follow_parent(self.stop)
        return self

    def reason(self) -> str | None:
        """Return why to stop, or None."""
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds, or until a signal comes. Return whether one has come."""
        return self._event.wait(seconds)

    def stop(self, reason: str) -> None:
        """Ask for the end from inside the process."""
        self._reason = self._reason or reason
        self._event.set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        warned = self._reason in [warning.name for warning in WARNINGS]
        if self._reason is not None and not (self._is_worker or warned or number in WARNINGS):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.stop(signal.Signals(number).name)


def follow_parent(stop: Callable[[str], None], *, grace_s: float = 20.0) -> None:
    """Call `stop` when the parent process is gone, and end this process if it still runs after `grace_s`."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is None:
            return
        multiprocessing.connection.wait([parent.sentinel])
        stop("the command that started this worker is gone")
        threading.Event().wait(grace_s)
        os._exit(1)

    threading.Thread(target=wait, name="follow-parent", daemon=True).start()


@contextlib.contextmanager
def ctrl_c_blocked(*others: signal.Signals) -> Iterator[None]:
    """Hide Ctrl-C and the `others` from processes started in the block. They reach this process afterwards."""
    resource_tracker.ensure_running()  # its own start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *others})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
