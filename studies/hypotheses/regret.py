"""The regret of borrowed settings: the loss on one task with the best setting of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL
from studies.analysis.paired import needed, paired
from studies.analysis.values.cross_fitted import Cell, cross_fit
from studies.hypotheses.rule import HypothesisTest, NotTestable, with_seeds


@dataclass(frozen=True, slots=True)
class RegretMatrix:
    """The loss on one task with another's best setting. A pair is (tuned on, used on)."""

    tasks: tuple[str, ...]
    cells: tuple[Cell, ...]  # with all seeds on every task
    settings: Mapping[str, Cell]  # each task's own best of the cells
    regret: Mapping[tuple[str, str], Estimate]  # pair → loss, at a level that holds for all of them
    ahead: Mapping[tuple[str, str], tuple[Estimate, ...]]  # pair → how far other cells are ahead of the borrowed ones

    def seeds_needed(self, pair: tuple[str, str], *, boundary: float) -> int | None:
        """Return how many seeds would part the regret of `pair` from `boundary`.

        A regret below the boundary is parted from it once each cell's interval is. Return None where a cell's mean is
        at the boundary or beyond it.
        """
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
    """Return the regrets of `values`, a mapping of task → cell → seed → value.

    Half of the seeds choose the task's own setting and the borrowed one, and the other half judge them (see
    `studies.analysis.values.cross_fitted`). That bounds a regret from below: noise makes a task's own choice worse than
    its best cell. The cell that may be furthest ahead of the borrowed one bounds it from above, over all cells together
    (Bonferroni). Only cells with all seeds on every task are used.
    """
    shared = [
        cell
        for cell in next(iter(values.values()), {})
        if all(all(seed in cells.get(cell, {}) for seed in seeds) for cells in values.values())
    ]
    whole = {task: {cell: cells[cell] for cell in shared} for task, cells in values.items()}
    fitted = {task: cross_fit(cells, seeds=seeds, maximize=maximize) for task, cells in whole.items()}
    best = {task: found for task, found in fitted.items() if found is not None}
    tasks = tuple(best)
    sign = 1.0 if maximize else -1.0
    level = 1 - (1 - LEVEL) / max(1, len(tasks) * (len(tasks) - 1))
    level_ahead = 1 - (1 - level) / max(1, len(shared) - 1)
    regret, ahead = {}, {}
    for source, target in permutations(tasks, 2):
        theirs, own = best[source], best[target]
        best_there = [sign * own.values[s] for s in seeds]
        borrowed = [sign * whole[target][theirs.judged[s]][s] for s in seeds]
        found = paired(best_there, borrowed, widened=max(own.widened, theirs.widened), level=level).difference
        ahead[source, target] = tuple(
            paired(*([sign * whole[target][c][s] for s in seeds] for c in (cell, taken)), level=level_ahead).difference
            for taken in set(theirs.judged.values())
            for cell in shared
            if cell != taken
        )
        ends = [cell.hi for cell in ahead[source, target]]
        most = None if None in ends else max([0.0, found.value, *(end for end in ends if end is not None)])
        regret[source, target] = replace(found, hi=most)
    settings = {task: found.cell for task, found in best.items()}
    return RegretMatrix(tasks, tuple(shared), settings, regret, ahead)


def one_fits_all(matrix: RegretMatrix, *, boundary: float, metric: str) -> HypothesisTest:
    """Return how far the largest regret stays below `boundary`. Raises `NotTestable`.

    The gain is minus the regret of the deciding pair. The pair with the highest lower end decides if that end is above
    the boundary. Else the largest regret with an interval around the boundary decides, else the highest upper end.
    """
    entries = [(pair, found) for pair, found in matrix.regret.items() if found.lo is not None and found.hi is not None]
    if len(matrix.cells) < 2:
        raise NotTestable(
            "fewer than two settings were tried with all seeds on every task: let a nuisance parameter vary"
        )
    if not entries:
        raise NotTestable("no setting was tried with all seeds on every task")
    untold = [" on ".join(pair) for pair in matrix.regret if pair not in dict(entries)]
    pair, worst = max(entries, key=lambda entry: entry[1].lo or 0.0)
    if (worst.lo or 0.0) <= boundary and untold:
        raise NotTestable(f"all values are equal, so the regret has no interval: the setting of {untold[0]}")
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
    return with_seeds(HypothesisTest(what, worst.turned, -boundary, metric), wanted)
