"""What a worker and the ranks of its trial tell each other, through one pipe a rank.

The worker alone talks to the storage, and rank 0 alone talks to the worker while the trial runs; the others only tell
how they ended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from studies.schema import Failure
from studies.trial.training import Training

HowFailed = Literal["failed", "interrupted", "pruned", "lost_peer"]


@dataclass(frozen=True, slots=True)
class Call:
    """Rank 0 calls one of the worker's `Watchers` by its `name`, and waits for the `Answer`."""

    name: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the watcher returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Stop:
    """The worker wants the trial to end."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """A rank has trained to the end."""

    training: Training


@dataclass(frozen=True, slots=True)
class Failed:
    """A rank ended in an exception. `lost_peer`: it only noticed that another rank is gone."""

    how: HowFailed
    failure: Failure
    message: str
    trace: str


class RankLink:
    """A rank's end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reason: str | None = None
        self._ended = False

    def call(self, name: str, argument: Any) -> Any:
        """What the worker's watcher `name` returns; waits for as long as the storage takes."""
        self._connection.send(Call(name, argument))
        answers: deque[Answer] = deque()
        while not answers:
            self._take_in(answers)
        return answers[0].value

    def asked(self) -> str | None:
        """Why the worker wants the trial to end, or None."""
        while self._connection.poll():
            self._take_in(deque())
        return self._reason

    def end(self, how: Done | Failed) -> None:
        """Tell the worker how this rank ended; only the first word counts."""
        if not self._ended:
            self._ended = True
            self._connection.send(how)

    def _take_in(self, answers: deque[Answer]) -> None:
        message = self._connection.recv()
        if isinstance(message, Stop):
            self._reason = message.reason
        else:
            assert isinstance(message, Answer)
            answers.append(message)
