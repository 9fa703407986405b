"""Evenly spread points of a search space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from studies.analysis.axis import Array, Axis


def spread_points(axes: Sequence[Axis], n: int) -> Array:
    """Return quasi-random positions in [0, 1] under the measure of the axes (d): (n, d). `n` is a power of two."""
    unit = qmc.Sobol(len(axes), rng=np.random.default_rng(0)).random(n)
    for i, axis in enumerate(axes):
        if axis.levels:
            nodes, weights = axis.nodes()
            places = np.searchsorted(np.cumsum(weights), unit[:, i], side="right")
            unit[:, i] = nodes[np.minimum(places, len(nodes) - 1)]
    return np.asarray(unit)
