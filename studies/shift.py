"""One run of a command: when it began, and until when it may begin trials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """When a run of the command began and when it may begin no more trials: with their time zone, since workers may
    run on machines that have another one."""

    begun: datetime
    deadline: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and datetime.now(self.deadline.tzinfo) >= self.deadline
