"""The time of a command: when it began, and until when it may begin trials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Shift:
    """When a command began, and when it may begin no more trials.

    Both times have a time zone, as workers may run on machines with another one.
    """

    begun: datetime
    deadline: datetime | None = None

    @classmethod
    def of(cls, begun: datetime, seconds: float | None) -> Shift:
        """Return the time of a command that may begin trials for so many seconds, or without an end."""
        return cls(begun, None if seconds is None else begun + timedelta(seconds=seconds))

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and datetime.now(self.deadline.tzinfo) >= self.deadline
