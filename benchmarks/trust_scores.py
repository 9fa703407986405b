"""What the trust benchmark counts: an index against its truth, a study, and many studies with a bootstrap interval.

An index is *judged* if its true value is above .01. An interval is *given* if it is narrower than .95. Coverage is that
of the given intervals of judged indices. The interval score (Gneiting and Raftery 2007) of a 95 % interval is its width
plus 40 times the distance by which it misses. There, a row without an interval has [0, 1], so that silence costs 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from trust_estimators import Found
from trust_surfaces import Truths
from trust_truth import Indices, Names

from studies.analysis.estimate import Estimate
from studies.analysis.levels import CLAIM, LEVEL, NOT_KNOWN, PERCENTILES
from studies.analysis.verdict import Level

Kind = Literal["main", "pair", "unexplained", "loss", "decides", "trained"]
KINDS: Mapping[int, Kind] = {0: "unexplained", 1: "main", 2: "pair"}
EFFECTS: tuple[Kind, Kind] = ("main", "pair")
N_RESAMPLES = 2000
SMALL_ERROR, LARGE_ERROR = 0.10, 0.30  # sums of a study's errors


@dataclass(frozen=True, slots=True)
class Row:
    """A number with its estimate. A value that is not given counts as 0.

    kind: an index of a parameter, of a pair, or of what they leave; a loss by a parameter that is not tuned, as a
        share of the range of the surface; an index of the chance to train; or an effect where that is at least a half
    """

    kind: Kind
    names: Names
    true: float
    value: float
    lo: float | None
    hi: float | None
    is_claimed: bool

    @property
    def is_judged(self) -> bool:
        """Whether there is an effect to be found."""
        return self.true > CLAIM

    @property
    def is_given(self) -> bool:
        """Whether there is an interval that says something."""
        return self.lo is not None and self.hi is not None and self.hi - self.lo < NOT_KNOWN

    @property
    def is_covered(self) -> bool:
        """Whether the truth lies in the interval."""
        lo, hi = self._ends
        return lo <= self.true <= hi

    @property
    def error(self) -> float:
        """The distance of the value from the truth."""
        return abs(self.value - self.true)

    @property
    def width(self) -> float:
        """The width of the interval."""
        lo, hi = self._ends
        return hi - lo

    @property
    def score(self) -> float:
        """The interval score. Lower is better."""
        lo, hi = self._ends
        return interval_score(lo, hi, self.true)

    @property
    def _ends(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.lo is None or self.hi is None else (self.lo, self.hi)


def interval_score(lo: float, hi: float, true: float) -> float:
    """Return the interval score of a 95 % interval (Gneiting and Raftery 2007, equation 43)."""
    return hi - lo + 2 / (1 - LEVEL) * (max(0.0, lo - true) + max(0.0, true - hi))


@dataclass(frozen=True, slots=True)
class Scored:
    """A study as one estimator sees it."""

    surface: str
    search: str
    n: int
    seed: int
    estimator: str
    level: Level | None
    seconds: float  # of CPU
    rows: tuple[Row, ...]
    splits: bool = False  # whether it sees two groups of trials

    @property
    def study(self) -> tuple[str, str, int, int]:
        """What names the study."""
        return self.surface, self.search, self.n, self.seed

    @property
    def error(self) -> float:
        """The sum of the errors of all mains and pairs."""
        return sum(row.error for row in self.rows if row.kind in EFFECTS)

    @property
    def mains_error(self) -> float:
        """The sum of the errors of the mains, both normalised to one."""
        mains = [row for row in self.rows if row.kind == "main"]
        true, found = sum(row.true for row in mains), sum(row.value for row in mains)
        return sum(abs(row.value / (found or 1.0) - row.true / true) for row in mains)

    @property
    def pairs_error(self) -> float:
        """The sum of the errors of the pairs."""
        return sum(row.error for row in self.rows if row.kind == "pair")

    def judged(self, *kinds: Kind) -> list[Row]:
        """Return the judged rows of these kinds."""
        return [row for row in self.rows if row.is_judged and row.kind in kinds]


def rows_of(found: Found, truths: Truths) -> tuple[Row, ...]:
    """Return a row for each true number of a surface, as far as the estimator says something of its kind."""
    claimed = frozenset(frozenset(names) for names in found.claimed)
    rows = _rows(found.estimates, truths.indices, lambda names: KINDS[len(names)], claimed)
    if found.losses:
        scaled = {names: _over(loss, truths.losses[names].range) for names, loss in found.losses.items()}
        rows += _rows(scaled, {names: loss.share for names, loss in truths.losses.items()}, lambda _: "loss")
    known = None if found.training is None else truths.training(found.training.border)
    if found.training is not None and known is not None:
        rows += _rows(found.training.decides, known.decides, lambda _: "decides")
        rows += _rows(found.training.effects, known.effects, lambda _: "trained")
    return rows


def _rows(
    found: Mapping[Names, Estimate],
    truth: Indices,
    kind: Callable[[Names], Kind],
    claimed: frozenset[frozenset[str]] = frozenset(),
) -> tuple[Row, ...]:
    """Return a row for each true number. The order of a pair's parameters makes no difference."""
    estimates = {frozenset(names): estimate for names, estimate in found.items()}
    return tuple(
        _row(kind(names), names, true, estimates.get(frozenset(names)), frozenset(names) in claimed)
        for names, true in truth.items()
    )


def _over(estimate: Estimate, unit: float) -> Estimate:
    lo, hi = (None if end is None else end / unit for end in (estimate.lo, estimate.hi))
    return Estimate(estimate.value / unit, lo, hi)


def _row(kind: Kind, names: Names, true: float, estimate: Estimate | None, is_claimed: bool) -> Row:
    value = math.nan if estimate is None else estimate.value
    lo, hi = (None, None) if estimate is None else (estimate.lo, estimate.hi)
    is_known = lo is not None and hi is not None and not math.isnan(lo) and not math.isnan(hi)
    return Row(
        kind=kind,
        names=names,
        true=true,
        value=0.0 if math.isnan(value) else value,
        lo=lo if is_known else None,
        hi=hi if is_known else None,
        is_claimed=is_claimed,
    )


def share(studies: Sequence[Scored], parts: Callable[[Scored], Iterable[float]]) -> Estimate:
    """Return the mean over all `parts` of all studies, with a bootstrap interval by study. n counts the parts."""
    values = [list(parts(study)) for study in studies]
    sums, counts = np.array([sum(own) for own in values]), np.array([len(own) for own in values])
    if not counts.sum():
        return Estimate(math.nan, n=0)
    drawn = np.random.default_rng(0).integers(len(studies), size=(N_RESAMPLES, len(studies)))
    with np.errstate(invalid="ignore"):
        means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    lo, hi = np.nanpercentile(means, PERCENTILES)
    return Estimate(float(sums.sum() / counts.sum()), float(lo), float(hi), int(counts.sum()))


def coverage(studies: Sequence[Scored], *kinds: Kind) -> Estimate:
    """Return the share of the given intervals that hold the truth."""
    return share(studies, lambda study: [row.is_covered for row in study.judged(*kinds) if row.is_given])


def given(studies: Sequence[Scored], *kinds: Kind) -> Estimate:
    """Return the share of indices with an interval."""
    return share(studies, lambda study: [row.is_given for row in study.judged(*kinds)])


def error(studies: Sequence[Scored], *kinds: Kind) -> Estimate:
    """Return the mean absolute error."""
    return share(studies, lambda study: [row.error for row in study.judged(*kinds)])


def width(studies: Sequence[Scored], *kinds: Kind) -> Estimate:
    """Return the mean width of the given intervals."""
    return share(studies, lambda study: [row.width for row in study.judged(*kinds) if row.is_given])


def score(studies: Sequence[Scored], *kinds: Kind) -> Estimate:
    """Return the mean interval score."""
    return share(studies, lambda study: [row.score for row in study.judged(*kinds)])


def false_claims(studies: Sequence[Scored]) -> tuple[int, int, int]:
    """Return the pairs claimed without an effect, all claimed pairs, and all pairs without an effect."""
    pairs = [row for study in studies for row in study.rows if row.kind == "pair"]
    false = sum(row.is_claimed and not row.is_judged for row in pairs)
    return false, sum(row.is_claimed for row in pairs), sum(not row.is_judged for row in pairs)


def splits(studies: Sequence[Scored]) -> Estimate:
    """Return the share of the studies in which two groups of trials are seen."""
    return share(studies, lambda study: [study.splits])


def verdicts(studies: Sequence[Scored]) -> list[tuple[int, int]]:
    """Return how many studies are `ok`, of how many: of those with a small error, in between, and with a large one."""
    ends = (-math.inf, SMALL_ERROR, LARGE_ERROR, math.inf)
    found = [[s.level == "ok" for s in studies if low < s.error <= high] for low, high in itertools.pairwise(ends)]
    return [(sum(own), len(own)) for own in found]


def difference(
    first: Sequence[Scored], second: Sequence[Scored], measure: Callable[[Scored], float]
) -> tuple[float, float, Estimate]:
    """Return both means over the common studies, and that of the paired differences with a bootstrap interval."""
    others = {study.study: study for study in second}
    both = [(measure(study), measure(others[study.study])) for study in first if study.study in others]
    if not both:
        return math.nan, math.nan, Estimate(math.nan, n=0)
    a, b = np.array(both).T
    drawn = np.random.default_rng(0).integers(len(a), size=(N_RESAMPLES, len(a)))
    lo, hi = np.percentile((a - b)[drawn].mean(axis=1), PERCENTILES)
    return float(a.mean()), float(b.mean()), Estimate(float((a - b).mean()), float(lo), float(hi), len(a))
