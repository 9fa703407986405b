"""The deadline of a command: until when it may begin trials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a run of a command began, and when it may begin no more trials.

    Both times carry their time zone: workers may run on machines in another one.
    """

    begun: datetime
    until: datetime | None = None

    @classmethod
    def of(cls, begun: datetime, seconds: float | None) -> Deadline:
        """Return the deadline so many seconds after `begun`, or one that never comes."""
        return cls(begun, None if seconds is None else begun + timedelta(seconds=seconds))

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.until is not None and datetime.now(self.until.tzinfo) >= self.until
