"""Tries the points of a check in a process like a worker's, which is ended when the time is up.

With launcher=serial that is this very process. An alarm ends it there, also in the middle of a batch.
"""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from studies.errors import Problem
from studies.launch.processes.child import Child, Reader, pipe, start, stop
from studies.launch.preflight.first_batch import LEAVE_S, POLL_S, each_start, of_ended
from studies.launch.preflight.points import Found, Plan, check_points, run_check
from studies.launch.resolve_once import resolved_here
from studies.leaving import children_ended
from studies.settings import StudySettings
from studies.signals import TimeIsUp

if TYPE_CHECKING:
    from studies.trial.trying import Look

AGAIN_S = 0.5  # an alarm that falls into a destructor is lost


@dataclass(slots=True)
class Checked:
    """The findings of a check. `typical` looks stand for all trials, the middle of the space if there are none."""

    gpus: list[str] = field(default_factory=list)
    is_procedure: bool = False
    problems: list[Problem] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    typical: list[Look] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Take in a piece."""
        self.gpus += found.gpus
        self.is_procedure = self.is_procedure or found.is_procedure
        self.problems += found.problems
        self.notes += found.notes
        look = found.look
        self.notes += [note for note in (look.notes if look is not None else ()) if note not in self.notes]
        if look is None or (not look.is_whole and look.problem is None):
            return
        if look.problem is not None:
            self.problems.append(look.problem)
        if found.kind not in ("ranks", "seeds"):
            self.looks.append(look)
        if found.kind == "typical":
            self.typical.append(look)

    @property
    def seconds(self) -> list[float]:
        """The estimates for whole trials."""
        looks = self.typical or self.looks[:1]
        return [look.seconds for look in looks if look.seconds is not None]


def check_in_time(settings: StudySettings, plan: Plan, *, log: Path, tell: Callable[[str], None]) -> Checked:
    """Try the points of `plan` until its end. A process of its own writes to `log`; where the system kills it, `tell`
    says so and another one begins anew.

    Raises `StudyError` where the system kills each of them.
    """
    settings = resolved_here(settings)
    if settings.launcher.name == "serial":
        return _check_here(settings, plan)
    return _check_in_child(settings, plan, log, tell)


def _check_here(settings: StudySettings, plan: Plan) -> Checked:
    checked, pieces = Checked(), check_points(settings, plan)
    first = next(pieces)  # no alarm falls into the imports before it
    checked.add(first)
    with children_ended(checked.notes.append), contextlib.suppress(TimeIsUp), alarm(first.until):
        for found in pieces:
            checked.add(found)
    return checked


def _check_in_child(settings: StudySettings, plan: Plan, log: Path, tell: Callable[[str], None]) -> Checked:
    for _ in each_start("the process that tries the first batches", log=log, tell=tell):
        checked = Checked()
        ours, theirs = pipe()
        child = start(run_check, (settings, plan, log, theirs), name="check")
        theirs.close()
        if _is_heard_out(checked, ours, child, log):
            return checked
    raise AssertionError("each_start ends in an error")


def _is_heard_out(checked: Checked, ours: Reader, child: Child, log: Path) -> bool:
    """Take in what `child` finds, and end it when its time is up; return whether the system has let it."""
    try:
        if _has_told_all(checked, ours, child):
            child.join(LEAVE_S)
    except (EOFError, OSError):  # nothing more, or half a message
        child.join(None)
        if child.was_killed():
            return False
        checked.problems.append(of_ended(child, "first batches", log))
    finally:
        stop([child], grace_s=0.0)
    return True


def _has_told_all(checked: Checked, ours: Reader, child: Child) -> bool:
    """Take in what is found until the time is up; return whether that was all.

    Raises EOFError where `child` ends without a word.
    """
    until = None
    while (left_s := POLL_S if until is None else until - time.monotonic()) > 0:
        has_ended = not child.is_alive()
        if not ours.poll(min(POLL_S, left_s)):
            if has_ended:
                raise EOFError  # though a process that it has started may hold the pipe open
        else:
            found = ours.recv()
            if found is None:
                return True
            checked.add(found)
            until = until or found.until
    return False


@contextlib.contextmanager
def alarm(until: float | None) -> Iterator[None]:
    """Raise `TimeIsUp` in here at `until` (of `time.monotonic`), again and again until it comes through. Only in the
    main thread.

    Python prints an exception that falls into a destructor; this one is left out there.
    """
    if until is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    here, hook = getattr(inspect.currentframe(), "f_code", None), sys.unraisablehook

    def ring(_: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code is not here:  # else the alarm is being turned off
            raise TimeIsUp

    def told(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is not TimeIsUp:
            hook(lost)

    sys.unraisablehook = told
    handler = signal.signal(signal.SIGALRM, ring)
    others = signal.setitimer(signal.ITIMER_REAL, max(1e-3, until - time.monotonic()), AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook
        if others[0]:  # somebody else's alarm, a little late
            signal.setitimer(signal.ITIMER_REAL, *others)
