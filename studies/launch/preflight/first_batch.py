"""Tries a first batch in a process of its own, before any worker is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.context import LaunchContext
from studies.launch.preflight.findings import Found
from studies.launch.preflight.process import run_first_batch
from studies.launch.processes.child import BY_THE_SYSTEM, Child, Reader, pipe, start, stop
from studies.launch.processes.restarts import STARTS, pause_s
from studies.process.leaving import GRACE_S
from studies.process.signals import StopSignals

POLL_S = 0.5
LEAVE_S = 2 * GRACE_S  # for a process that has sent all its findings


def try_first_batch(context: LaunchContext, *, log: Path) -> Found:
    """Return the findings of a first batch, none if a signal comes first. Its notes are told.

    Raises `StudyError` if the system kills each process that tries it.
    """
    signals, tell = context.signals, context.tell
    for _ in each_start("the process that tries a first batch", log=log, tell=tell, signals=signals):
        ours, theirs = pipe()
        child = start(run_first_batch, (context.settings, log, theirs), name="preflight")
        theirs.close()
        found = _findings(ours, child, log, signals)
        if found is not None:
            for note in found.notes:
                tell(note)
            return found
    return Found()


def each_start(
    what: str, *, log: Path, tell: Callable[[str], None], signals: StopSignals | None = None
) -> Iterator[None]:
    """Yield for each start of a process that the system may kill, after growing pauses, until a signal comes.

    Raises `StudyError` after `STARTS` starts.
    """
    signals = signals or StopSignals()
    for n_failed in range(STARTS):
        if n_failed:
            tell(f"{what} was {BY_THE_SYSTEM}; a new one takes its place")
        signals.wait(pause_s(n_failed))
        if signals.reason() is not None:
            return
        yield
    raise StudyError(
        f"{what} was {BY_THE_SYSTEM}, {STARTS} times in a row: see that there is memory for one training, and who ends "
        f"processes here; its log is {log}"
    )


def of_ended(child: Child, what: str, log: Path) -> Problem:
    """Return the problem of a model that ends the process of its first batches."""
    return Problem("model", f"ended the process of its {what} ({child.in_words()})", f"see {log}")


def _findings(ours: Reader, child: Child, log: Path, signals: StopSignals) -> Found | None:
    """Return the findings of `child`, or None if the system killed it."""
    try:
        return _answer(ours, child, signals)
    except (EOFError, OSError):  # nothing, or half a message
        if signals.reason() is not None:  # the signal reached the whole group
            return Found()
        child.join(None)
        return None if child.was_killed() else Found(problems=(of_ended(child, "first batch", log),))


def _answer(ours: Reader, child: Child, signals: StopSignals) -> Found:
    """Wait for the findings of `child`. Raises EOFError if it ends without any."""
    while child.is_alive() and not ours.poll(POLL_S):
        if signals.reason() is not None:
            stop([child], grace_s=POLL_S)
            return Found()
    if not ours.poll():
        raise EOFError  # a process that it has started may hold the pipe open
    found: Found = ours.recv()
    child.join(LEAVE_S)
    stop([child], grace_s=0.0)
    return found
