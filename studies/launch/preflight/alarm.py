"""An alarm that ends work in the main thread at a given time, also in the middle of a batch."""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from studies.process.signals import TimeIsUp

AGAIN_S = 0.5  # an alarm inside a destructor is lost, so it rings again


@contextlib.contextmanager
def alarm(until: float | None) -> Iterator[None]:
    """Raise `TimeIsUp` in the block at `until` (of `time.monotonic`), again and again until it comes through.

    Only the main thread can have an alarm. An alarm inside a destructor is not printed, as Python would do.
    """
    if until is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    here, hook = getattr(inspect.currentframe(), "f_code", None), sys.unraisablehook

    def ring(_: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code is not here:  # else the alarm is being turned off
            raise TimeIsUp

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is not TimeIsUp:
            hook(lost)

    sys.unraisablehook = unraisable
    handler = signal.signal(signal.SIGALRM, ring)
    others = signal.setitimer(signal.ITIMER_REAL, max(1e-3, until - time.monotonic()), AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook
        if others[0]:  # the caller's own alarm, a little late
            signal.setitimer(signal.ITIMER_REAL, *others)
