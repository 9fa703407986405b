"""Tries the points of a check in a process like a worker's, and ends it when the time is up.

With launcher=serial that is this very process, and an alarm ends it. Only then is torch imported here, late.
"""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from studies.launch.preflight.findings import Checked, Found, Plan
from studies.launch.preflight.first_batch import LEAVE_S, POLL_S, each_start, of_ended
from studies.launch.preflight.process import run_check
from studies.launch.processes.child import Child, Reader, pipe, start, stop
from studies.launch.resolve_once import resolve_once
from studies.process.leaving import children_ended
from studies.process.signals import TimeIsUp

AGAIN_S = 0.5  # an alarm inside a destructor is lost, so it rings again


def check_in_time(plan: Plan, *, log: Path, tell: Callable[[str], None]) -> Checked:
    """Try the points of `plan` until its end. A process of its own writes to `log`.

    If the system kills it, another one begins anew and `tell` says so. Raises `StudyError` if each of them is killed.
    """
    plan = replace(plan, settings=replace(plan.settings, template=resolve_once(plan.settings)))
    if plan.settings.launcher.name == "serial":
        from studies.launch.preflight.batches import check_points

        return _check_here(check_points(plan))
    for _ in each_start("the process that tries the first batches", log=log, tell=tell):
        checked = Checked()
        ours, theirs = pipe()
        child = start(run_check, (plan, log, theirs), name="check")
        theirs.close()
        if _is_heard_out(checked, ours, child, log):
            return checked
    raise AssertionError("each_start ends in an error")


def _check_here(pieces: Iterator[Found]) -> Checked:
    checked, first = Checked(), next(pieces)
    checked.add(first)
    with children_ended(checked.notes.append), contextlib.suppress(TimeIsUp), alarm(first.until):
        for found in pieces:
            checked.add(found)
    return checked


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


def _is_heard_out(checked: Checked, ours: Reader, child: Child, log: Path) -> bool:
    """Add the findings of `child` and end it when its time is up. Return False if the system killed it."""
    try:
        if _has_sent_all(checked, ours, child):
            child.join(LEAVE_S)
    except (EOFError, OSError):  # nothing more, or half a message
        child.join(None)
        if child.was_killed():
            return False
        checked.problems.append(of_ended(child, "first batches", log))
    finally:
        stop([child], grace_s=0.0)
    return True


def _has_sent_all(checked: Checked, ours: Reader, child: Child) -> bool:
    """Add findings until the time is up, and return whether they were all.

    Raises EOFError if `child` ends before it has sent all.
    """
    until = None
    while (left_s := POLL_S if until is None else until - time.monotonic()) > 0:
        has_ended = not child.is_alive()
        if not ours.poll(min(POLL_S, left_s)):
            if has_ended:
                raise EOFError  # a process that it has started may hold the pipe open
        else:
            found = ours.recv()
            if found is None:
                return True
            checked.add(found)
            until = until or found.until
    return False
