"""What sleeping workers note down: throughput, idleness and cost a trial, between their start and their last wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Note:
    """One line: a worker began or ended a trial. `moment` is wall clock, `cpu` that of its process, both in seconds."""

    what: str
    slot: int
    worker: int
    moment: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Waves:
    """How workers did between the moment when all were at work and the one when the last slot was begun.

    `efficiency` is the share of the workers' time that was spent asleep inside trials; `idle` the share between the end
    of one trial and the beginning of the next, in which a worker records, claims or waits. `storage_ms` and `cpu_ms`
    are medians over trials of what a trial took beside its sleep, and of processor time in its worker.
    """

    n_trials: int
    seconds: float
    efficiency: float
    idle: float
    storage_ms: float
    cpu_ms: float

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.n_trials / self.seconds


def read_notes(path: Path) -> list[Note]:
    """Return the notes in the order in which they were written."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [Note(what, int(slot), int(pid), float(at), float(cpu)) for what, _, slot, pid, at, cpu in lines]


def waves(notes: Sequence[Note], sleeps: Sequence[float]) -> Waves:
    """Read the steady part off `notes`; `sleeps` are the seconds of the slots, in turn."""
    workers = sorted({note.worker for note in notes})
    by_worker = {worker: [note for note in notes if note.worker == worker] for worker in workers}
    begun = max(own[0].moment for own in by_worker.values())
    ended = max(note.moment for note in notes if note.what == "begin")
    asleep, idle, storage, cpu = 0.0, 0.0, [], []
    for own in by_worker.values():
        for first, last in pairwise(own):
            inside = max(0.0, min(last.moment, ended) - max(first.moment, begun))
            if first.what == "begin":
                asleep += min(inside, sleeps[first.slot % len(sleeps)])
            else:
                idle += inside
        beginnings = [note for note in own if note.what == "begin"]
        for this, following in pairwise(beginnings):
            if this.moment >= begun:
                storage.append(following.moment - this.moment - sleeps[this.slot % len(sleeps)])
                cpu.append(following.cpu - this.cpu)
    n_ended = sum(1 for note in notes if note.what == "end" and begun <= note.moment <= ended)
    whole = (ended - begun) * len(workers)
    return Waves(n_ended, ended - begun, asleep / whole, idle / whole, 1e3 * median(storage), 1e3 * median(cpu))
