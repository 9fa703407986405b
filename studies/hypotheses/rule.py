"""The rule that decides a hypothesis: a gain with its interval, against a boundary from before the first trial.

The claim is *supported* where the whole 95 % interval of the gain lies at or above the boundary. It is *contradicted*
where the interval lies below, and *undecided* where it holds the boundary. A larger gain speaks for the claim. The two
verdicts are an interval apart. Other seeds turn one into the other only if an interval errs twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studies.analysis.designed.factorial import Anova
from studies.analysis.estimate import Estimate
from studies.analysis.levels import MIN_SEEDS
from studies.analysis.paired import needed
from studies.analysis.values.table import ValueTable
from studies.reporting.wording import estimate_text

Word = Literal["supported", "contradicted", "undecided"]


class NotTestable(Exception):
    """The trials of a part cannot test its claim. The message says why."""


@dataclass(frozen=True, slots=True)
class HypothesisTest:
    """The test of one part of a hypothesis."""

    what: str  # the gain, in words
    gain: Estimate
    boundary: float  # the least gain that supports the claim
    unit: str
    seeds_needed: int | None = None  # in all, to decide it. None if it is decided, or if nobody can tell

    @property
    def word(self) -> Word:
        """The verdict: undecided by fewer than `MIN_SEEDS`, because the differences of so few may agree by chance."""
        if self.gain.lo is None or (self.gain.n or 0) < MIN_SEEDS:
            return "undecided"
        if self.gain.lo >= self.boundary:
            return "supported"
        return "contradicted" if self.gain.is_below(self.boundary) else "undecided"

    def __str__(self) -> str:
        gain = f"{estimate_text(self.gain)} (n = {self.gain.n})"
        return f"{self.what}: {gain}; the claim needs at least {self.boundary:g}."


def together(tests: Sequence[HypothesisTest]) -> Word:
    """Return the verdict on a claim that has to hold in every part."""
    words = [test.word for test in tests]
    if "contradicted" in words:
        return "contradicted"
    return "supported" if words and all(word == "supported" for word in words) else "undecided"


def contrast(table: ValueTable, *, before: str, after: str, boundary: float, maximize: bool) -> HypothesisTest:
    """Return the gain of going from value `before` to value `after`, seed by seed. Raises `NotTestable`."""
    if before == after:
        raise NotTestable(f"{table.name} = {before} is compared with itself")
    labels = [row.label for row in table.rows]
    missing = [label for label in (before, after) if label not in labels or table.rows[labels.index(label)].n == 0]
    if missing:
        raise NotTestable(f"{table.name} = {' and '.join(missing)} has no value")
    i, j = labels.index(after), labels.index(before)
    found = next(c for c in table.ranking.comparisons if {c.first, c.second} == {i, j})
    difference = found.paired.difference if found.first == i else found.paired.difference.turned
    gain = difference if maximize else difference.turned
    what = f"gain in {table.metric} from {table.name} = {before} to {after}, {_how(table)}"
    return tested(what, gain, boundary, table.metric)


def _how(table: ValueTable) -> str:
    return "each at its best over the nuisance parameters" if table.view == "tuned" else "all else at its default"


def independence(anova: Anova, *, boundary: float) -> HypothesisTest:
    """Return how far all interactions of any order together stay below `boundary`. Raises `NotTestable`.

    The gain is their share of the noise-free variance, with a minus sign.
    """
    found = anova.interactions
    if anova.problem or found is None or found.share is None or math.isnan(found.share.value):
        raise NotTestable(anova.problem or "no interaction of parameters was tested")
    gain = replace(found.share.turned, n=anova.n)
    pairs = {row.term: row.share.value for row in anova.rows if len(row.term) == 2 and row.share is not None}
    top = max(pairs, key=lambda term: pairs[term], default=None)
    largest = f" (the largest pair: {' × '.join(top)}, {pairs[top]:.4f})" if top is not None else ""
    what = f"share of the variance by which all parameters miss being a sum{largest}, with a minus sign"
    return tested(what, gain, -boundary, "share of variance")


def tested(what: str, gain: Estimate, boundary: float, unit: str) -> HypothesisTest:
    """Return the test of `gain`, with the number of seeds that would decide it."""
    return with_seeds(HypothesisTest(what, gain, boundary, unit), needed(gain, boundary=boundary))


def with_seeds(found: HypothesisTest, wanted: int | None) -> HypothesisTest:
    """Return an undecided test with the number of seeds `wanted`, and a decided one as it is."""
    if found.word != "undecided" or wanted is None:
        return found
    return replace(found, seeds_needed=max(wanted, MIN_SEEDS))
