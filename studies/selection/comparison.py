"""The comparison of several races: the best of their winners, and the others that are shown to be worse.

Races end after different numbers of seeds, and some seeds are easier than others. So winners are compared over the race
seeds that all of them have. Each winner was the luckiest of its own race there, so these seeds choose the best but do
not prove it. The fresh seeds test it: they chose nothing and are the same for all. The tests are paired one-sided t
tests, with Bonferroni's correction for the number of other races. Cost: the choice ignores the later seeds of the
longer races.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState

from studies.analysis.axis import Array
from studies.analysis.levels import SIGNIFICANCE
from studies.analysis.racing import surely_positive
from studies.selection.race import Race

ROUNDING = float(np.finfo(np.float32).eps)  # modules log in single precision


@dataclass(frozen=True, slots=True)
class WinnerComparison:
    """The races compared by their winners. Only winners with an estimate count."""

    best: Race | None  # with the best mean over the common race seeds
    n_seeds: int = 0  # race seeds that all winners have
    n_others: int = 0
    rivals: tuple[Race, ...] = ()  # others that the fresh seeds do not show to be worse
    equals: tuple[Race, ...] = ()  # others with the same mean as the best, but for rounding


def compared(races: Sequence[Race], *, maximize: bool) -> WinnerComparison:
    """Compare finished races. Those without an estimate of their winner are left out."""
    able = [race for race in races if race.estimate is not None]
    if len(able) < 2:
        return WinnerComparison(able[0] if able else None)
    sign = 1.0 if maximize else -1.0
    raced = sign * np.array([race.values[race.winner or 0] for race in able])
    common = ~np.isnan(raced).any(axis=0)
    means = raced[:, common].mean(axis=1)
    equals = np.flatnonzero(means >= means.max() - ROUNDING * abs(means.max()))
    best = int(equals[0])
    n_fresh = max(len(race.fresh) for race in able)
    fresh = sign * np.array([_fresh(race, n_fresh) for race in able])
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


def _fresh(race: Race, n: int) -> Array:
    """Return the values of the fresh trainings in the order of their `n` seeds, NaN for one without a value."""
    values = [trial.value if trial.state == TrialState.COMPLETE else None for trial in race.fresh]
    return np.array([*values, *[None] * (n - len(values))], dtype=float)
