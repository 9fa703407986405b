"""The messages between a worker and the ranks of its trial, through one pipe a rank.

Only the worker talks to the storage, and only rank 0 talks to the worker while the trial runs. The other ranks only
tell how they ended: with their `Training`, or why they `Failed`.
"""

from __future__ import annotations

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
    """The return value of a watcher."""

    value: Any


@dataclass(frozen=True, slots=True)
class Stop:
    """The worker wants the trial to end."""

    reason: str


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
        """Call the worker's watcher `name` and return its answer. Waits as long as the storage takes."""
        self._connection.send(Call(name, argument))
        while not isinstance(message := self._receive(), Answer):
            pass
        return message.value

    def asked(self) -> str | None:
        """Return the worker's reason to end the trial, or None."""
        while self._connection.poll():
            self._receive()
        return self._reason

    def end(self, how: Training | Failed) -> None:
        """Tell the worker how this rank ended. Only the first call counts."""
        if not self._ended:
            self._ended = True
            self._connection.send(how)

    def _receive(self) -> Answer | Stop:
        message: Answer | Stop = self._connection.recv()
        if isinstance(message, Stop):
            self._reason = message.reason
        return message
