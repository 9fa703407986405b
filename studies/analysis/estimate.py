"""A number with its uncertainty: the one type for every value that has an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from studies.analysis.levels import LEVEL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its interval, and how many observations it rests on.

    One observation has no interval, and neither have several equal ones: the ends are then None. They are infinite if
    the interval is known to be unbounded.
    """

    value: float
    lo: float | None = None
    hi: float | None = None
    n: int | None = None  # None: the value is not made of observations that can be counted
    level: float = LEVEL

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends as numbers, NaN where there is no interval."""
        return (math.nan if self.lo is None else self.lo), (math.nan if self.hi is None else self.hi)

    @property
    def half_width(self) -> float | None:
        """The distance from the value to the farther end. A known bound may have cut the other one."""
        return None if self.lo is None or self.hi is None else max(self.value - self.lo, self.hi - self.value)

    @property
    def turned(self) -> Estimate:
        """The estimate with the other sign."""
        lo, hi = (None if end is None else -end for end in (self.hi, self.lo))
        return replace(self, value=-self.value, lo=lo, hi=hi)

    def is_above(self, limit: float) -> bool:
        """Return whether the whole interval lies above `limit`."""
        return self.lo is not None and self.lo > limit

    def is_below(self, limit: float) -> bool:
        """Return whether the whole interval lies below `limit`."""
        return self.hi is not None and self.hi < limit

    def within(self, low: float, high: float) -> Estimate:
        """Return the estimate with its interval cut at bounds that the quantity cannot pass."""
        if self.lo is None or self.hi is None:
            return self
        return replace(self, lo=max(low, self.lo), hi=min(high, self.hi))
