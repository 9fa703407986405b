"""Ctrl-C, SIGTERM and the loss of the parent process, as a flag that long work asks about."""

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

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Remembers the first signal that asks this process to stop; a second one ends it at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: str | None = None

    def install(self) -> StopSignals:
        """Take the signals over. Only in the main thread."""
        for number in SIGNALS:
            signal.signal(number, self._handle)
        return self

    def install_in_worker(self) -> StopSignals:
        """As `install`, for a process that another one looks after: Ctrl-C in a terminal reaches both, and is the
        parent's to pass on (as SIGTERM); and the worker leaves when its parent is gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._handle)
        follow_parent(self.stop)
        return self

    def reason(self) -> str | None:
        """Why to stop, or None."""
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a signal comes; whether one has."""
        return self._event.wait(seconds)

    def stop(self, reason: str) -> None:
        """Ask for the end from inside the process."""
        self._reason = self._reason or reason
        self._event.set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._reason is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.stop(signal.Signals(number).name)


def follow_parent(stop: Callable[[str], None], *, grace_s: float = 20.0) -> None:
    """Call `stop` when the process that started this one is gone, and end this one if that does not help in time."""

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
    """Processes that are started in here never see Ctrl-C, nor the `others`; what comes meanwhile is delivered
    afterwards."""
    resource_tracker.ensure_running()  # its own start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *others})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
