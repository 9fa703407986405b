"""The noise of trainings against the differences between the cells of a planned grid, by a stored search.

The noise is that of trainings of equal points with other seeds, else that of a race, else what the fit leaves over. The
first two count at the upper end of the variance's interval (χ²). A race trains good configurations, and others may have
more noise. The last counts errors of the fit as noise, too. The variance of the noise-free function is that of the
trials that spread evenly, less the noise. Of it a grid shows the effects of its own parameters alone: their main
effects and interactions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

from studies.analysis.axis import Array
from studies.analysis.levels import MIN_FITTED_TRIALS, MIN_NOISE_DF, PERCENTILES
from studies.analysis.table import SPACE_FILLING, TrialsTable
from studies.text.wording import counted, whole_percent

if TYPE_CHECKING:
    from studies.analysis.effects import Effect

ASSUMED = 0.1  # where nothing is known


@dataclass(frozen=True, slots=True)
class NoiseRatio:
    """The variance of the noise over that of the noise-free function in a grid, and where it comes from."""

    value: float
    basis: str


@dataclass(frozen=True, slots=True)
class PooledVariance:
    """The variance within groups of trainings that differ by their seeds alone."""

    value: float
    df: int
    n_groups: int

    @property
    def upper(self) -> float:
        """The upper end of the interval of the variance."""
        outside = PERCENTILES[0] / 100
        return self.value * self.df / float(chdtri(self.df, 1 - outside))


def noise_ratio(
    names: Sequence[str], table: TrialsTable, effects: Sequence[Effect], raced: Sequence[Array] = ()
) -> NoiseRatio:
    """Return the ratio for a grid over `names`, by a search with these trials and effects.

    `raced` are the values of each candidate of a race. Effects without numbers are unknown.
    """
    share, of_share = _share_of(names, table, effects)
    for pooled, what in ((pooled_variance(_repeated(table)), "points"), (pooled_variance(raced), "raced points")):
        if pooled is not None:
            signal = max(0.0, _spread(table) - pooled.value) * share
            groups = counted(pooled.n_groups, what.removesuffix("s"), what)
            basis = f"by {pooled.df + pooled.n_groups} trainings of {groups} with other seeds"
            return NoiseRatio(pooled.upper / signal if signal > 0 else math.inf, f"{basis}; {of_share}")
    left = next((e.estimate.value for e in effects if e.kind == "noise"), math.nan)
    if math.isnan(left):
        return assumed("the trials do not tell the noise")
    signal = (1 - left) * share
    return NoiseRatio(left / signal if signal > 0 else math.inf, f"by what the fit leaves over; {of_share}")


def assumed(why: str) -> NoiseRatio:
    """Return the ratio that is assumed where nothing is known."""
    return NoiseRatio(ASSUMED, f"{why}, so it is taken as {whole_percent(ASSUMED)} % of the variance over the grid")


def pooled_variance(groups: Iterable[Array]) -> PooledVariance | None:
    """Return the variance within groups of values, NaN where there is none. None if there are too few."""
    known = [group[np.isfinite(group)] for group in groups]
    known = [group for group in known if len(group) > 1]
    df = sum(len(group) - 1 for group in known)
    if df < MIN_NOISE_DF:
        return None
    squares = sum(float(np.square(group - group.mean()).sum()) for group in known)
    return PooledVariance(squares / df, df, len(known))


def _repeated(table: TrialsTable) -> list[Array]:
    """Return the values of each point that was trained with several seeds, one for each seed.

    A second training under the same seed, or one of an unknown seed, may be the first once more. A predicted value is
    no training.
    """
    by_point: dict[tuple[float, ...], dict[int, float]] = defaultdict(dict)
    points = np.nan_to_num(table.x, nan=-np.inf)
    for row in np.flatnonzero(table.is_measured):
        replicate = table.replicates[row]
        if replicate is not None:
            by_point[tuple(points[row].tolist())].setdefault(replicate, float(table.y[row]))
    return [np.array([*by_seed.values()]) for by_seed in by_point.values() if len(by_seed) > 1]


def _spread(table: TrialsTable) -> float:
    """Return the variance of the trials that spread evenly, or of all if these are few."""
    evenly = np.array([source in SPACE_FILLING for source in table.sources], dtype=bool)
    values = table.y[evenly] if evenly.sum() >= MIN_FITTED_TRIALS else table.y
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _share_of(names: Sequence[str], table: TrialsTable, effects: Sequence[Effect]) -> tuple[float, str]:
    """Return the share of the noise-free variance that a grid over `names` shows, and its origin.

    One parameter has no other in its grid, so its effect is a share of the whole.
    """
    if len(names) == 1:
        return 1.0, "against the effects of all parameters"
    own = [effect for effect in effects if effect.params and {*effect.params} <= {*names}]
    values = [effect.estimate.value if effect.verdict != "unreliable" else math.nan for effect in own]
    if values and not any(map(math.isnan, values)):
        return min(1.0, sum(values)), f"against the effects of {', '.join(names)}"
    n = max(len(names), len(table.names))
    return len(names) / n, f"against {len(names)} of {n} parameters, as if each had the same effect"
