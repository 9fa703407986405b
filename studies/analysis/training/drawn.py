"""Functions that were drawn at several settings of the hyperparameters, put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from studies.analysis.axis import Axis
from studies.analysis.gaussian_process.posterior import Draws, mean_first
from studies.analysis.surface import Functions


def functions_of(axes: Sequence[Axis], draws: Sequence[Draws]) -> Functions:
    """Return all drawn functions, with the mean of their means first."""
    pairs = list(combinations(range(len(axes)), 2))
    return Functions(
        tuple(axes),
        mean_first([draw.constants for draw in draws]),
        tuple(mean_first([draw.mains[i] for draw in draws]) for i in range(len(axes))),
        {pair: mean_first([draw.pairs[k] for draw in draws]) for k, pair in enumerate(pairs)},
    )
