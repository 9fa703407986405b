"""Keeps the workers of a study going, wherever they run.

A worker that dies is replaced at once, and any free worker tries its trial again. If workers keep dying before they
begin a trial, the pauses between them grow, and in the end the study stops. The study also stops at the first error of
a worker. A worker leaves by itself when no trial is left to begin. From then on, workers that still wait for a device
are called off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

from studies.errors import StudyError, StudyStopped
from studies.launch.interruption import of_workers
from studies.launch.processes.restarts import STARTS, pause_s
from studies.process.shift import Shift
from studies.process.signals import StopSignals

TICK_S = 0.5
GRACE_S = 20.0  # for a worker that was asked to stop; a longer batch is cut off


class EndReason(Enum):
    """Why a worker ended."""

    LEFT = auto()  # no trial was left to begin, or it reported an error
    RENEWED = auto()  # the next trial needs a new process
    DIED = auto()
    STOPPED = auto()  # by a signal from elsewhere; its trial is interrupted
    WITHDRAWN = auto()  # a person or the cluster cancelled it, so it is not replaced


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """How a worker ended: the reason, the error that it reported, and a description for people."""

    reason: EndReason
    error: StudyError | None = None
    words: str = ""


class PooledWorker(Protocol):
    """A worker of the pool, running or queued."""

    @property
    def number(self) -> int:
        """Its number. A replacement keeps it."""

    def end(self) -> WorkerEnd | None:
        """Return how it ended, or None while it runs or waits."""

    def is_queued(self) -> bool:
        """Return whether it still waits for a device."""


W = TypeVar("W", bound=PooledWorker)


class WorkerBackend(Protocol[W]):
    """Starts and stops workers in one kind of place: this machine, SLURM or Ray."""

    def start(self, numbers: Sequence[int], *, shift: Shift) -> list[W]:
        """Start a worker for each of `numbers`. Raises `StudyError` if the system refuses."""

    def wait(self, workers: Sequence[W], *, seconds: float) -> None:
        """Wait until a worker ends, at most so many seconds."""

    def stop(self, workers: Sequence[W], *, grace_s: float) -> None:
        """Ask `workers` to free their trials and leave, and end the others after `grace_s`."""


class WorkerPool:
    """The workers of one study on one backend."""

    def __init__(self, signals: StopSignals, *, max_failures: int, tell: Callable[[str], None]) -> None:
        self._signals = signals
        self._max_deaths = min(max_failures, STARTS)
        self._lost: list[int] = []  # numbers of workers to replace
        self._replaced_from = 0.0
        self._tell = tell
        self._error: StudyError | None = None
        self._deaths = 0
        self._begun_at_last_death = -1
        self._stopped = 0
        self._stopped_in_a_row = 0
        self._others_at_last_stop = -1  # trials that were begun, less those that such a stop interrupted
        self._withdrawn = 0
        self._anyone_left = False

    def run(
        self, backend: WorkerBackend[W], numbers: Sequence[int], *, shift: Shift, on_tick: Callable[[], int]
    ) -> None:
        """Keep a worker for each of `numbers` going until they leave or a signal comes.

        `on_tick` is called twice a second and returns how many trials have begun. Raises the first `StudyError` of a
        worker, after the others have ended.
        """
        workers: list[W] = []
        try:
            workers += backend.start(numbers, shift=shift)
            while (workers or self._lost) and self._signals.reason() is None and self._error is None:
                backend.wait(workers, seconds=TICK_S)
                begun = on_tick()
                if self._signals.reason() is None:  # else the same signal may have ended the workers
                    workers = self._refresh(backend, workers, shift=shift, begun=begun)
        finally:
            reason = self._signals.reason()
            if reason is not None and workers:
                self._tell(of_workers(reason, len(workers), grace_s=GRACE_S))
            backend.stop(workers, grace_s=GRACE_S)
        for worker in workers:
            end = worker.end()
            self._error = self._error or (end.error if end is not None else None)
        on_tick()
        if self._error is None and self._withdrawn and not self._anyone_left and self._signals.reason() is None:
            self._error = StudyStopped(
                "every worker was called off before the study was finished: run the same command again to go on"
            )
        if self._error is not None:
            raise self._error

    def _refresh(self, backend: WorkerBackend[W], workers: list[W], *, shift: Shift, begun: int) -> list[W]:
        """Return the living workers, with replacements for those that were lost."""
        living: list[W] = []
        for worker in workers:
            end = worker.end()
            if end is None:
                living.append(worker)
            elif self._is_to_be_replaced(worker, end, begun):
                self._lost.append(worker.number)
        if self._error is not None:
            return living
        queued = [worker for worker in living if worker.is_queued()] if self._anyone_left else []
        if queued:
            backend.stop(queued, grace_s=0)
            living = [worker for worker in living if worker not in queued]
        return living + self._replace(backend, shift)

    def _replace(self, backend: WorkerBackend[W], shift: Shift) -> list[W]:
        """Start replacements for the lost workers, once the pause is over."""
        if self._anyone_left:
            self._lost = []
        if not self._lost or time.monotonic() < self._replaced_from:
            return []
        lost, self._lost = self._lost, []
        return backend.start(lost, shift=shift)

    def _is_to_be_replaced(self, worker: PooledWorker, end: WorkerEnd, begun: int) -> bool:
        self._error = self._error or end.error
        if self._error is not None:
            return False
        if end.reason is EndReason.LEFT:
            self._anyone_left = True
            return False
        if end.reason is EndReason.RENEWED:
            return True
        if end.reason is EndReason.WITHDRAWN:
            self._withdrawn += 1
            self._tell(f"worker {worker.number} was called off ({end.words}); it is not replaced")
            return False
        if end.reason is EndReason.STOPPED:
            return self._goes_on_after_a_stop(worker, end, begun)
        self._deaths = self._deaths + 1 if begun == self._begun_at_last_death else 1
        self._begun_at_last_death = begun
        self._replaced_from = time.monotonic() + pause_s(self._deaths - 1)
        if self._deaths > self._max_deaths:  # a trial may have caused the first death
            self._error = StudyStopped(
                f"workers died {self._deaths} times without beginning a trial (last {end.words})"
            )
        elif not self._anyone_left:
            self._tell(f"worker {worker.number} died ({end.words}); a new one takes its place")
        return True

    def _goes_on_after_a_stop(self, worker: PooledWorker, end: WorkerEnd, begun: int) -> bool:
        """Return whether to replace a worker that a signal from elsewhere stopped.

        After `STARTS` such stops in a row, with no other trial begun between them, the study stops instead.
        """
        self._stopped += 1
        others = begun - self._stopped
        self._stopped_in_a_row = self._stopped_in_a_row + 1 if others <= self._others_at_last_stop else 1
        self._others_at_last_stop = others
        if self._stopped_in_a_row >= STARTS:
            self._error = StudyStopped(
                f"{STARTS} workers in a row were {end.words}, which this command did not send: see what does, "
                "perhaps the module itself"
            )
            return False
        if not self._anyone_left:
            self._tell(f"worker {worker.number} was {end.words}; a new one takes its place")
        return True
