"""Several races against each other: which one's winner is the best, and over which others that is shown.

Races end after unlike numbers of seeds, and some seeds are easier than others. So winners are compared over the race
seeds that all of them have. Each was the luckiest of its own race there, so these seeds choose the best but do not show
it; that is asked of the fresh seeds, which chose nothing and are the same for all: paired one-sided t tests, Bonferroni
over the other races. Cost: of what a long race learned beyond the shortest one the choice makes no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState

from studies.analysis.axis import Array
from studies.analysis.levels import SIGNIFICANCE
from studies.analysis.racing import surely_positive
from studies.selection.contest import Contest

ROUNDING = float(np.finfo(np.float32).eps)  # what single precision, in which modules log, does not tell apart


@dataclass(frozen=True, slots=True)
class WinnerComparison:
    """`best`: the contest whose winner did best on the `n_seeds` race seeds that all winners have, None where none has
    an estimate; of those that are as good but for rounding it is the first, the others are its `equals`. Of `n_others`
    with an estimate too, the `rivals` are those that the fresh seeds do not show to be worse."""

    best: Contest | None
    n_seeds: int = 0
    n_others: int = 0
    rivals: tuple[Contest, ...] = ()
    equals: tuple[Contest, ...] = ()


def compared(contests: Sequence[Contest], *, maximize: bool) -> WinnerComparison:
    """The comparison of contests that have come to their end; those whose winner has no estimate are left out."""
    able = [contest for contest in contests if contest.estimate is not None]
    if len(able) < 2:
        return WinnerComparison(able[0] if able else None)
    sign = 1.0 if maximize else -1.0
    raced = sign * np.array([contest.values[contest.winner or 0] for contest in able])
    common = ~np.isnan(raced).any(axis=0)
    means = raced[:, common].mean(axis=1)
    equals = np.flatnonzero(means >= means.max() - ROUNDING * abs(means.max()))
    best = int(equals[0])
    n_fresh = max(len(contest.fresh) for contest in able)
    fresh = sign * np.array([_fresh(contest, n_fresh) for contest in able])
    others = [i for i in range(len(able)) if i != best]
    differences = [gaps[~np.isnan(gaps)] for gaps in (fresh[best] - fresh[i] for i in others)]
    spreads = [float(gaps.std(ddof=1)) for gaps in differences if len(gaps) > 1]
    can_test = [not able[best].is_seedless and not able[i].is_seedless for i in others]
    tested = [able_to and len(gaps) > 1 for able_to, gaps in zip(can_test, differences, strict=True)]
    p_values = [surely_positive(gaps, spreads) if t else 1.0 for t, gaps in zip(tested, differences, strict=True)]
    shown = [len(others) * p_value <= SIGNIFICANCE for p_value in p_values]
    rivals = tuple(able[i] for i, is_shown in zip(others, shown, strict=True) if not is_shown)
    return WinnerComparison(
        able[best], int(common.sum()), len(others), rivals, tuple(able[i] for i in equals if i != best)
    )


def _fresh(contest: Contest, n: int) -> Array:
    """Return what the fresh trainings gave, in the order of their `n` seeds; NaN for one without a value."""
    values = [trial.value if trial.state == TrialState.COMPLETE else None for trial in contest.fresh]
    return np.array([*values, *[None] * (n - len(values))], dtype=float)
