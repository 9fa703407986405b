"""Keeps a study's workers going, wherever they run.

A worker that dies is replaced at once, and what it ran is tried again by whoever is free. Where workers die again and
again without beginning a trial, each pause before the next one is longer. In the end the study stops, as it does at the
first error that a worker tells. Once a worker has left by itself there is nothing left to begin, so those that still
wait for a place are called off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

from studies.errors import StudyError, StudyStopped
from studies.launch.processes.fork_server import STARTS, pause_s
from studies.launch.interruption import of_workers
from studies.shift import Shift
from studies.signals import StopSignals

TICK_S = 0.5
GRACE_S = 20.0  # for a worker that was asked to stop; a batch that takes longer is cut off


class How(Enum):
    """How a worker ended."""

    LEFT = auto()  # nothing was left to do, or it tells an error
    RENEWED = auto()  # the next trial shall begin in a new process
    DIED = auto()
    STOPPED = auto()  # it was asked to by a signal that this command did not send; its trial is interrupted
    WITHDRAWN = auto()  # somebody else called it off, and shall have their way


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended, the error that it tells, and in words what is known of it."""

    how: How
    error: StudyError | None = None
    words: str = ""


class Member(Protocol):
    """A worker that was asked for."""

    @property
    def number(self) -> int:
        """Its number, which the one that replaces it takes over."""

    def ending(self) -> Ending | None:
        """How it ended, or None while it lives or waits for a place."""

    def is_queued(self) -> bool:
        """Whether it still waits for a place."""


M = TypeVar("M", bound=Member)


class Workplace(Protocol[M]):
    """Where workers run."""

    def begin(self, numbers: Sequence[int], *, shift: Shift) -> list[M]:
        """Start a worker for each of `numbers`. Raises `StudyError` where that cannot be done."""

    def wait(self, members: Sequence[M], *, seconds: float) -> None:
        """Wait so long, or until one of `members` has ended."""

    def end(self, members: Sequence[M], *, grace_s: float) -> None:
        """Ask `members` to free their trials and leave, and end those that do not in time."""


class Crew:
    """The workers of one study at one workplace."""

    def __init__(self, signals: StopSignals, *, max_failures: int, tell: Callable[[str], None]) -> None:
        self._signals = signals
        self._max_deaths = min(max_failures, STARTS)
        self._lost: list[int] = []  # numbers of workers that are to be replaced
        self._replaced_from = 0.0
        self._tell = tell
        self._error: StudyError | None = None
        self._deaths = 0
        self._begun_at_last_death = -1
        self._stopped = 0
        self._stopped_in_a_row = 0
        self._others_at_last_stop = -1  # trials that were begun and not interrupted so
        self._withdrawn = 0
        self._anyone_left = False

    def run(self, place: Workplace[M], numbers: Sequence[int], *, shift: Shift, on_tick: Callable[[], int]) -> None:
        """Keep a worker for each of `numbers` going until they leave or a signal comes.

        `on_tick`, called twice a second, returns how many trials have been begun. Raises the first `StudyError` of a
        worker, after the others have ended.
        """
        members: list[M] = []
        try:
            members += place.begin(numbers, shift=shift)
            while (members or self._lost) and self._signals.reason() is None and self._error is None:
                place.wait(members, seconds=TICK_S)
                begun = on_tick()
                if self._signals.reason() is None:  # else what has ended was asked to, by a signal to all processes
                    members = self._look_after(place, members, shift=shift, begun=begun)
        finally:
            reason = self._signals.reason()
            if reason is not None and members:
                self._tell(of_workers(reason, len(members), grace_s=GRACE_S))
            place.end(members, grace_s=GRACE_S)
        for member in members:
            ending = member.ending()
            self._error = self._error or (ending.error if ending is not None else None)
        on_tick()
        if self._error is None and self._withdrawn and not self._anyone_left and self._signals.reason() is None:
            self._error = StudyStopped(
                "every worker was called off before the study was finished: run the same command again to go on"
            )
        if self._error is not None:
            raise self._error

    def _look_after(self, place: Workplace[M], members: list[M], *, shift: Shift, begun: int) -> list[M]:
        """Those of `members` that live, with new ones in place of those that died."""
        living: list[M] = []
        for member in members:
            ending = member.ending()
            if ending is None:
                living.append(member)
            elif self._is_to_be_replaced(member, ending, begun):
                self._lost.append(member.number)
        if self._error is not None:
            return living
        queued = [member for member in living if member.is_queued()] if self._anyone_left else []
        if queued:
            place.end(queued, grace_s=0)
            living = [member for member in living if member not in queued]
        return living + self._replace(place, shift)

    def _replace(self, place: Workplace[M], shift: Shift) -> list[M]:
        """Start new workers in place of those that were lost, once the pause is over."""
        if self._anyone_left:
            self._lost = []
        if not self._lost or time.monotonic() < self._replaced_from:
            return []
        lost, self._lost = self._lost, []
        return place.begin(lost, shift=shift)

    def _is_to_be_replaced(self, member: Member, ending: Ending, begun: int) -> bool:
        self._error = self._error or ending.error
        if self._error is not None:
            return False
        if ending.how is How.LEFT:
            self._anyone_left = True
            return False
        if ending.how is How.RENEWED:
            return True
        if ending.how is How.WITHDRAWN:
            self._withdrawn += 1
            self._tell(f"worker {member.number} was called off ({ending.words}); it is not replaced")
            return False
        if ending.how is How.STOPPED:
            return self._goes_on_after_a_stop(member, ending, begun)
        self._deaths = self._deaths + 1 if begun == self._begun_at_last_death else 1
        self._begun_at_last_death = begun
        self._replaced_from = time.monotonic() + pause_s(self._deaths - 1)
        if self._deaths > self._max_deaths:  # the first one may have come from a trial
            self._error = StudyStopped(
                f"workers died {self._deaths} times without beginning a trial (last {ending.words})"
            )
        elif not self._anyone_left:
            self._tell(f"worker {member.number} died ({ending.words}); a new one takes its place")
        return True

    def _goes_on_after_a_stop(self, member: Member, ending: Ending, begun: int) -> bool:
        """Whether to replace a worker that was asked to stop: not where that alone happens, again and again."""
        self._stopped += 1
        others = begun - self._stopped
        self._stopped_in_a_row = self._stopped_in_a_row + 1 if others <= self._others_at_last_stop else 1
        self._others_at_last_stop = others
        if self._stopped_in_a_row >= STARTS:
            self._error = StudyStopped(
                f"{STARTS} workers in a row were {ending.words}, which this command did not send: see what does, "
                "perhaps the module itself"
            )
            return False
        if not self._anyone_left:
            self._tell(f"worker {member.number} was {ending.words}; a new one takes its place")
        return True
