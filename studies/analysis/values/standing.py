"""How each value stands to the best: worse, equivalent within a margin, or not shown, and then how many seeds it takes.

The best is not known beforehand, and noise has a part in its choice. So two bounds limit how far a value is behind the
best of all others, whichever that is. Each bound holds for all rows of a table together with a chance of 95 %, for any
correlation and any spread of the rows.

- *Worse*: behind by more than nothing. Holm's correction over all pairs decides. By how much at least is Bonferroni's
  bound over all pairs. It may be 0 where only Holm's shows the difference.
- *Equivalent*: behind by less than the margin, by Hsu's multiple comparisons with the best (1984). The truly best row
  is compared with the k - 1 others, and every row that may be the best counts. These are two one-sided tests at 5 %
  (Schuirmann 1987). The other one, against "better by the margin", is passed by every row that is not the best.

The two bounds are the ends of an interval of 90 %. A value that is surely worse, by less than the margin, is told as
equivalent: by the margin, such a difference does not matter.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studies.analysis.estimate import Estimate
from studies.analysis.levels import MIN_SEEDS, MOST_MORE_SEEDS, SIGNIFICANCE
from studies.analysis.paired import at_level, needed
from studies.analysis.values.cross_fitted import CrossFitted, ValueComparison, compare

StandingWord = Literal["best", "worse", "equivalent", "not_shown", "none"]  # none: a row without a value


@dataclass(frozen=True, slots=True)
class RowStanding:
    """How a row stands to the best of the others.

    difference: from the best row, in the metric's unit, between both bounds. The best row itself has none
    p_holm: of no difference from the best row, over all pairs
    at_least: by so much a row that is surely worse is behind
    more_seeds: beside the present ones, to decide a row; `MOST_MORE_SEEDS` stands for more. None if nobody can tell
    """

    word: StandingWord
    difference: Estimate | None = None
    p_holm: float | None = None
    at_least: float | None = None
    more_seeds: int | None = None

    @property
    def behind(self) -> float:
        """How far the row is behind the best one, by their means."""
        return 0.0 if self.difference is None else abs(self.difference.value)


@dataclass(frozen=True, slots=True)
class Ranking:
    """All rows compared with all, and each with the best. Without a `margin`, none is called equivalent."""

    best: int | None
    standings: tuple[RowStanding, ...] = ()
    comparisons: tuple[ValueComparison, ...] = ()
    margin: float | None = None

    def verdict(self, i: int, j: int) -> int:
        """Return 1 if row i is shown to have the greater value than row j, -1 if the smaller, 0 if neither."""
        for c in self.comparisons:
            if {c.first, c.second} == {i, j} and c.is_shown:
                sign = 1 if c.paired.difference.value > 0 else -1
                return sign if c.first == i else -sign
        return 0


def rank(rows: Sequence[CrossFitted | None], *, maximize: bool, margin: float | None = None) -> Ranking:
    """Return the best row by its mean, and how each other one stands to it. `margin` is in the metric's unit."""
    sign = 1.0 if maximize else -1.0
    means = {i: sign * row.mean.value for i, row in enumerate(rows) if row is not None}
    if not means:
        return Ranking(None, tuple(RowStanding("none") for _ in rows), margin=margin)
    best = max(means, key=lambda i: means[i])
    comparisons = tuple(compare(rows))
    leads = _leads(comparisons, maximize=maximize)
    standings = [RowStanding("best" if i == best else "none") for i in range(len(rows))]
    field = _Field(leads, best)
    for i in leads.keys() - {best}:
        found = field.standing(i, margin=margin)
        difference = found.difference if maximize or found.difference is None else found.difference.turned
        standings[i] = replace(found, difference=difference)
    return Ranking(best, tuple(standings), comparisons, margin)


@dataclass(frozen=True, slots=True)
class _Lead:
    """How far one row is ahead of another. More is better. `is_behind`: surely less than nothing."""

    ahead: Estimate
    is_behind: bool
    p_holm: float

    def lo(self, level: float) -> float:
        """Return the lower end at `level`."""
        found = at_level(self.ahead, level).lo
        return -math.inf if found is None else found

    def hi(self, level: float) -> float:
        """Return the upper end at `level`."""
        found = at_level(self.ahead, level).hi
        return math.inf if found is None else found


Leads = Mapping[int, Mapping[int, _Lead]]


def _leads(comparisons: Sequence[ValueComparison], *, maximize: bool) -> Leads:
    leads: dict[int, dict[int, _Lead]] = defaultdict(dict)
    for c in comparisons:
        ahead = c.paired.difference if maximize else c.paired.difference.turned
        leads[c.first][c.second] = _Lead(ahead, c.is_shown and ahead.value < 0, c.p_holm)
        leads[c.second][c.first] = _Lead(ahead.turned, c.is_shown and ahead.value > 0, c.p_holm)
    return leads


class _Field:
    """All compared rows, with the levels of both bounds."""

    def __init__(self, leads: Leads, best: int) -> None:
        self.leads, self.best = leads, best
        k = max(len(leads), 2)
        self.with_the_best, self.of_all_pairs = (1 - 2 * SIGNIFICANCE / n for n in (k - 1, k * (k - 1)))
        self.may_be_best = [
            i for i, rivals in leads.items() if all(lead.hi(self.with_the_best) > 0 for lead in rivals.values())
        ]

    def standing(self, i: int, *, margin: float | None) -> RowStanding:
        """Return how row i stands, with the difference as if more were better."""
        rivals = self.leads[i]
        lead = rivals[self.best]
        n, value = lead.ahead.n or 0, lead.ahead.value
        lo = min(rivals[j].lo(self.with_the_best) for j in self.may_be_best if j != i)
        hi = min(rival.hi(self.of_all_pairs) for rival in rivals.values())
        is_worse = any(rival.is_behind for rival in rivals.values())
        hi = min(hi, 0.0) if is_worse else max(hi, 0.0)
        is_bounded = math.isfinite(lo) and math.isfinite(hi)
        told = Estimate(value, lo, hi, n, 1 - 2 * SIGNIFICANCE) if is_bounded else Estimate(value, n=n)
        found = (
            RowStanding("worse", told, lead.p_holm, -hi) if is_worse else RowStanding("not_shown", told, lead.p_holm)
        )
        if margin is not None and lo > -margin and n >= MIN_SEEDS:
            return replace(found, word="equivalent")
        return found if is_worse else replace(found, more_seeds=self._more_seeds(lead.ahead, lo, margin))

    def _more_seeds(self, lag: Estimate, lo: float, margin: float | None) -> int | None:
        """Return how many seeds decide a row that has the difference `lag` from the best, by the cheaper claim."""
        wanted = [needed(at_level(lag, self.of_all_pairs), boundary=0.0)]
        if margin is not None and math.isfinite(lo) and lag.value > -margin:
            wanted.append(needed(replace(lag, lo=lo, hi=-lo, level=self.with_the_best), boundary=-margin))
        fewest = min((n for n in wanted if n is not None), default=None)
        return None if fewest is None else min(max(fewest, MIN_SEEDS) - (lag.n or 0), MOST_MORE_SEEDS)
