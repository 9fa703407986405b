"""A belief put to the test: a quantity with its interval, against a boundary that was written down beforehand.

One rule for all: the claim is *supported* where the whole 95 % interval of the gain lies at or above the boundary,
*contradicted* where it lies below, and *undecided* where it holds the boundary. A gain is counted so that more of it
speaks for the claim. The two verdicts are an interval apart, so other seeds turn one into the other only where an
interval errs twice. Undecided says how many seeds would part the gain from the boundary if it stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studies.analysis.estimate import Estimate
from studies.analysis.factorial import Anova
from studies.analysis.levels import LEVEL
from studies.analysis.paired import needed, paired
from studies.analysis.values.cross_fitted import Cell, cross_fit
from studies.analysis.values.table import ValueTable

FEWEST = 4  # seeds that a verdict rests on
Word = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a belief shows. `gain` speaks for the claim where it is at or above `boundary`; `what` says in
    words what it is, `seeds_needed` how many seeds in all would decide it, None where it is decided or cannot be told.
    """

    what: str
    gain: Estimate
    boundary: float
    unit: str
    seeds_needed: int | None = None

    @property
    def word(self) -> Word:
        """The verdict; undecided by fewer than `FEWEST`, whose differences may agree by chance."""
        if self.gain.lo is None or (self.gain.n or 0) < FEWEST:
            return "undecided"
        if self.gain.lo >= self.boundary:
            return "supported"
        return "contradicted" if self.gain.is_below(self.boundary) else "undecided"


def together(findings: Sequence[Finding]) -> Word:
    """The verdict on a claim that has to hold in every part."""
    words = [finding.word for finding in findings]
    if "contradicted" in words:
        return "contradicted"
    return "supported" if words and all(word == "supported" for word in words) else "undecided"


def contrast(table: ValueTable, *, before: str, after: str, boundary: float, maximize: bool) -> Finding | str:
    """The gain of going from value `before` to value `after`, seed by seed; in words why there is none."""
    if before == after:
        return f"{table.name} = {before} is compared with itself"
    labels = [row.label for row in table.rows]
    missing = [label for label in (before, after) if label not in labels or table.rows[labels.index(label)].n == 0]
    if missing:
        return f"{table.name} = {' and '.join(missing)} has no value"
    i, j = labels.index(after), labels.index(before)
    found = next(c for c in table.ranking.comparisons if {c.first, c.second} == {i, j})
    difference = found.paired.difference if found.first == i else found.paired.difference.turned
    gain = difference if maximize else difference.turned
    what = f"gain in {table.metric} from {table.name} = {before} to {after}, {_how(table)}"
    return _finding(what, gain, boundary, table.metric)


def _how(table: ValueTable) -> str:
    return "each at its best over the nuisance parameters" if table.view == "tuned" else "all else at its default"


def independence(anova: Anova, *, boundary: float) -> Finding | str:
    """How far all interactions together, of any order, stay below `boundary`, a share of the noise-free variance: the
    gain is that share with a minus sign."""
    found = anova.interactions
    if anova.problem or found is None or found.share is None or math.isnan(found.share.value):
        return anova.problem or "no interaction of parameters was tested"
    gain = replace(found.share.turned, n=anova.n)
    pairs = {row.term: row.share.value for row in anova.rows if len(row.term) == 2 and row.share is not None}
    top = max(pairs, key=lambda term: pairs[term], default=None)
    largest = f" (the largest pair: {' × '.join(top)}, {pairs[top]:.4f})" if top is not None else ""
    what = f"share of the variance by which all parameters miss being a sum{largest}, with a minus sign"
    return _finding(what, gain, -boundary, "share of variance")


@dataclass(frozen=True, slots=True)
class RegretMatrix:
    """What is lost on one task by taking another's best setting. `cells` are those that every task has whole,
    `settings` the tasks' own best among them; `regret` maps (tuned on, used on) to the loss, at the level that holds
    for all entries together; `ahead` to how far each other cell is ahead of the borrowed ones, at the level that holds
    for all of them."""

    tasks: tuple[str, ...]
    cells: tuple[Cell, ...]
    settings: Mapping[str, Cell]
    regret: Mapping[tuple[str, str], Estimate]
    ahead: Mapping[tuple[str, str], tuple[Estimate, ...]]

    def seeds_needed(self, pair: tuple[str, str], *, boundary: float) -> int | None:
        """How many seeds would part the regret of `pair` from `boundary`: its interval, or where the regret is below
        it, that of each cell. None where a cell's mean is at the boundary or beyond it."""
        found = self.regret[pair]
        if found.value > boundary:
            return needed(found, boundary=boundary)
        open_still = [cell for cell in self.ahead[pair] if cell.hi is None or cell.hi > boundary]
        wanted = [needed(cell, boundary=boundary) if cell.value < boundary else None for cell in open_still]
        known = [n for n in wanted if n is not None]
        return max(known) if known and len(known) == len(wanted) else None


def regret_matrix(
    values: Mapping[str, Mapping[Cell, Mapping[int, float]]], *, seeds: Sequence[int], maximize: bool
) -> RegretMatrix:
    """From task → cell → seed → value. Both the task's own setting and the borrowed one are chosen by the half of the
    seeds that does not judge them (see `studies.analysis.values.cross_fitted`); only cells that every task has whole
    are used. That bounds a regret from below: noise makes a task's own choice worse than its best cell. From above it
    is bounded by the cell that may be furthest ahead of the borrowed one, over all cells together (Bonferroni)."""
    shared = [
        cell
        for cell in next(iter(values.values()), {})
        if all(all(seed in cells.get(cell, {}) for seed in seeds) for cells in values.values())
    ]
    whole = {task: {cell: cells[cell] for cell in shared} for task, cells in values.items()}
    best = {task: cross_fit(cells, seeds=seeds, maximize=maximize) for task, cells in whole.items()}
    tasks = tuple(task for task, found in best.items() if found is not None)
    sign = 1.0 if maximize else -1.0
    level = 1 - (1 - LEVEL) / max(1, len(tasks) * (len(tasks) - 1))
    level_ahead = 1 - (1 - level) / max(1, len(shared) - 1)
    regret, ahead = {}, {}
    for source in tasks:
        for target in tasks:
            theirs, own = best[source], best[target]
            if source == target or theirs is None or own is None:
                continue
            best_there = [sign * own.values[s] for s in seeds]
            borrowed = [sign * whole[target][theirs.judged[s]][s] for s in seeds]
            found = paired(best_there, borrowed, widened=max(own.widened, theirs.widened), level=level).difference
            ahead[source, target] = tuple(
                paired(
                    *([sign * whole[target][c][s] for s in seeds] for c in (cell, taken)), level=level_ahead
                ).difference
                for taken in set(theirs.judged.values())
                for cell in shared
                if cell != taken
            )
            ends = [cell.hi for cell in ahead[source, target]]
            most = None if None in ends else max([0.0, found.value, *(end for end in ends if end is not None)])
            regret[source, target] = replace(found, hi=most)
    settings = {task: found.cell for task, found in best.items() if found is not None}
    return RegretMatrix(tasks, tuple(shared), settings, regret, ahead)


def one_fits_all(matrix: RegretMatrix, *, boundary: float, metric: str) -> Finding | str:
    """How far the largest regret stays below `boundary`: the gain is minus that regret, with the interval of the entry
    that decides: the one with the highest lower end where that is above the boundary, else the largest of those that
    may lie above it, else that with the highest upper end."""
    entries = [(pair, found) for pair, found in matrix.regret.items() if found.lo is not None and found.hi is not None]
    if len(matrix.cells) < 2:
        return "fewer than two settings were tried with all seeds on every task: let a nuisance parameter vary"
    if not entries:
        return "no setting was tried with all seeds on every task"
    untold = [" on ".join(pair) for pair in matrix.regret if pair not in dict(entries)]
    pair, worst = max(entries, key=lambda entry: entry[1].lo or 0.0)
    if (worst.lo or 0.0) <= boundary and untold:
        return f"all values are equal, so the regret has no interval: the setting of {untold[0]}"
    if (worst.lo or 0.0) <= boundary:
        may_be = [(pair, found) for pair, found in entries if (found.hi or 0.0) > boundary]
        pair, worst = (
            max(may_be, key=lambda entry: entry[1].value) if may_be else max(entries, key=lambda e: e[1].hi or 0.0)
        )
    what = (
        f"change in {metric} on {pair[1]} from its own setting to that of {pair[0]}, the worst of {len(entries)} pairs "
        "and with an interval that holds for all of them together"
    )
    wanted = matrix.seeds_needed(pair, boundary=boundary)
    return _with_seeds(Finding(what, worst.turned, -boundary, metric), wanted)


def _finding(what: str, gain: Estimate, boundary: float, unit: str) -> Finding:
    return _with_seeds(Finding(what, gain, boundary, unit), needed(gain, boundary=boundary))


def _with_seeds(found: Finding, wanted: int | None) -> Finding:
    """An undecided finding with the number of seeds `wanted`."""
    if found.word != "undecided" or wanted is None:
        return found
    return replace(found, seeds_needed=max(wanted, FEWEST))
