"""Functions that were drawn at several settings of the hyperparameters, put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.gaussian_process.posterior import Draws
from studies.analysis.surface import Functions


def functions_of(axes: Sequence[Axis], draws: Sequence[Draws]) -> Functions:
    """Return all drawn functions, with the mean of their means first."""

    def together(parts: Sequence[Array]) -> Array:
        mean = np.mean([part[0] for part in parts], axis=0)
        return np.concatenate([mean[None], *(part[1:] for part in parts)])

    pairs = list(combinations(range(len(axes)), 2))
    return Functions(
        tuple(axes),
        together([draw.constants for draw in draws]),
        tuple(together([draw.mains[i] for draw in draws]) for i in range(len(axes))),
        {pair: together([draw.pairs[k] for draw in draws]) for k, pair in enumerate(pairs)},
    )
