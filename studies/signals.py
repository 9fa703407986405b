"""Ctrl-C, SIGTERM and the loss of the parent process, as a flag that long work asks about."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
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

    def follow_parent(self) -> StopSignals:
        """Stop too when the process that started this one is gone, so that no worker is left behind."""
        threading.Thread(target=self._wait_for_parent, name="follow-parent", daemon=True).start()
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

    def _wait_for_parent(self) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            multiprocessing.connection.wait([parent.sentinel])
            self.stop("the command that started this worker is gone")
