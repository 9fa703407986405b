"""Tries a first batch in a process of its own, before any worker is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.processes.child import BY_THE_SYSTEM, Child, Reader, pipe, start, stop
from studies.launch.processes.fork_server import STARTS, pause_s
from studies.launch.worker_process import run_preflight
from studies.leaving import GRACE_S
from studies.settings import StudySettings
from studies.signals import StopSignals

POLL_S = 0.5
LEAVE_S = 2 * GRACE_S  # for a process that has told all it has to tell


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """What a first batch has shown: the GPUs' ids of this machine, problems, and notes."""

    gpus: list[str]
    problems: list[Problem]
    notes: list[str]


NOTHING = FirstBatch([], [], [])


def try_first_batch(
    settings: StudySettings, *, log: Path, signals: StopSignals, tell: Callable[[str], None]
) -> tuple[list[str], list[Problem]]:
    """Return the GPUs' ids of this machine, and the problems that a first batch shows; nothing where a signal comes
    first. `tell` takes notes.

    Raises `StudyError` where the system kills each process that tries it.
    """
    for _ in each_start("the process that tries a first batch", log=log, tell=tell, signals=signals):
        found = _try_once(settings, log, signals)
        if found is not None:
            for note in found.notes:
                tell(note)
            return found.gpus, found.problems
    return [], []


def each_start(
    what: str, *, log: Path, tell: Callable[[str], None], signals: StopSignals | None = None
) -> Iterator[None]:
    """Yield for each start of a process that the system may kill, with growing pauses, until a signal comes.

    Raises `StudyError` after so many that another one is no use.
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


def _try_once(settings: StudySettings, log: Path, signals: StopSignals) -> FirstBatch | None:
    """Return what one process found; None where the system has killed it."""
    ours, theirs = pipe()
    child = start(run_preflight, (settings, log, theirs), name="preflight")
    theirs.close()
    try:
        return _answer(ours, child, signals)
    except (EOFError, OSError):  # nothing, or half a message
        if signals.reason() is not None:  # a signal to the whole group
            return NOTHING
        child.join(None)
        return None if child.was_killed() else FirstBatch([], [of_ended(child, "first batch", log)], [])


def _answer(ours: Reader, child: Child, signals: StopSignals) -> FirstBatch:
    """Wait for what `child` found. Raises EOFError where it ends without a word."""
    while child.is_alive() and not ours.poll(POLL_S):
        if signals.reason() is not None:
            stop([child], grace_s=POLL_S)
            return NOTHING
    if not ours.poll():
        raise EOFError  # though a process that it has started may hold the pipe open
    gpus, problems, notes = ours.recv()
    child.join(LEAVE_S)
    stop([child], grace_s=0.0)
    return FirstBatch(list(gpus), list(problems), list(notes))


def of_ended(child: Child, what: str, log: Path) -> Problem:
    """Return the problem of a model that ends the process of its first batches."""
    return Problem("model", f"ended the process of its {what} ({child.in_words()})", f"see {log}")
