"""How many replicates a grid needs: the power of its F test of an effect with a given share of the variance.

V is the variance of the noise-free function over the cells, each with equal weight, and s² that of the noise. Over n
trainings a term with the share q of V has the noncentrality n·q·V/s² (Cohen 1988, ch. 8). Degrees of freedom are those
of `factorial.anova`, with training seeds as blocks. The term is the pair of two parameters, or the main effect of one.
Of several pairs the one with the least power counts, at Bonferroni's level, the first step of Holm's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import fdtri, ncfdtr

from studies.analysis.levels import ASKED_SHARE, MIN_BLOCKS, POWER, SIGNIFICANCE

MOST_REPLICATES = 16  # that are planned
MOST_COUNTED = 1000
CERTAIN = 1e4  # a noncentrality beyond which no test of a grid fails


@dataclass(frozen=True, slots=True)
class Replicates:
    """How often a grid trains each cell, and its power then."""

    n: int
    power: float

    @property
    def are_enough(self) -> bool:
        """Whether the power is the wanted one."""
        return self.power >= POWER


def more_replicates(n_levels: Sequence[int], *, noise: float, than: int) -> Replicates | None:
    """Return the fewest replicates with the wanted power, at least twice `than`. None if a thousand have not."""
    candidates = (Replicates(n, power(n_levels, replicates=n, noise=noise)) for n in range(2 * than, MOST_COUNTED))
    return next((found for found in candidates if found.are_enough), None)


def power(n_levels: Sequence[int], *, replicates: int, noise: float, share: float = ASKED_SHARE) -> float:
    """Return the power of a grid of parameters with so many levels (two or more) each. `noise` is s²/V."""
    terms = list(itertools.combinations(n_levels, min(2, len(n_levels))))
    n_cells = math.prod(n_levels)
    df_error = (n_cells - 1) * (replicates - 1)
    if not df_error:
        return 0.0
    noncentrality = n_cells * replicates * share / noise if noise > 0 else math.inf
    if noncentrality > CERTAIN:
        return 1.0
    level = SIGNIFICANCE / len(terms)
    dfs = {math.prod(n - 1 for n in term) for term in terms}
    return min(1 - float(ncfdtr(df, df_error, noncentrality, fdtri(df, df_error, 1 - level))) for df in dfs)


def replicates_for(n_levels: Sequence[int], *, noise: float) -> Replicates:
    """Return the fewest replicates with the wanted power, or the most that are planned."""
    for n in range(MIN_BLOCKS, MOST_REPLICATES):
        found = Replicates(n, power(n_levels, replicates=n, noise=noise))
        if found.are_enough:
            return found
    return Replicates(MOST_REPLICATES, power(n_levels, replicates=MOST_REPLICATES, noise=noise))
