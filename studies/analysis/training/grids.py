"""Drawn functions of the Gaussian process on grids of the parameters, one grid a draw.

The points of a continuous axis are evenly spaced, and the first one is drawn anew for each function. So the error of a
coarse grid differs from draw to draw, and is part of an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.surface import Functions

MOST_POINTS = 8000
FEWEST = 3  # points of an axis with so many values


@dataclass(frozen=True, slots=True)
class Grids:
    """K grids over some parameters. All others are averaged over.

    chosen: the positions of these parameters among all
    bases: their basis functions at the points, (K, n_i, M_i)
    weights: of the points under the axes' measure, (n_1, …)
    """

    chosen: tuple[int, ...]
    bases: tuple[Array, ...]
    weights: Array

    @classmethod
    def of(
        cls, axes: Sequence[Axis], chosen: Sequence[int], influences: Array, *, n: int, rng: np.random.Generator
    ) -> Grids:
        """Return `n` grids, with more points for parameters with a greater one of the `influences` (d)."""
        sizes = _sizes([axes[i] for i in chosen], influences[list(chosen)])
        bases, weights = [], np.ones(())
        for i, size in zip(chosen, sizes, strict=True):
            units, own = _points(axes[i], size, n, rng)
            bases.append(axes[i].basis(units.ravel()).reshape(n, size, -1))
            weights = weights[..., None] * own
        return cls(tuple(chosen), tuple(bases), weights)

    def values(self, functions: Functions) -> Array:
        """Return K drawn functions, without their mean, on their grids: (K, n_1, …)."""
        constants = functions.constants[1:]
        values = np.broadcast_to(self._spread(constants, ()), (len(constants), *self.weights.shape)).copy()
        for a, (i, own) in enumerate(zip(self.chosen, self.bases, strict=True)):
            values += self._spread((own @ functions.mains[i][1:, :, None])[:, :, 0], (a,))
            for b, j in enumerate(self.chosen[a + 1 :], start=a + 1):
                values += self._spread(own @ functions.pairs[i, j][1:] @ self.bases[b].transpose(0, 2, 1), (a, b))
        return values

    def _spread(self, values: Array, axes: tuple[int, ...]) -> Array:
        """Return `values` (K, …) over these of the grid's axes, to be broadcast over all."""
        shape = [size if a in axes else 1 for a, size in enumerate(self.weights.shape)]
        return values.reshape(len(values), *shape)


def _sizes(axes: Sequence[Axis], influences: Array) -> list[int]:
    """Return how many points each axis has, so that all grids together have few enough."""
    most = [len(axis.levels) or MOST_POINTS for axis in axes]
    sizes = [n if axis.kind == "categorical" else min(n, FEWEST) for axis, n in zip(axes, most, strict=True)]
    while True:
        larger = [i for i, n in enumerate(sizes) if n < most[i] and math.prod(sizes) // n * (n + 1) <= MOST_POINTS]
        if not larger:
            return sizes
        sizes[max(larger, key=lambda i: float(influences[i]) / sizes[i])] += 1


def _points(axis: Axis, size: int, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return positions on an axis for `n` grids (n, size), and their weights (size)."""
    if size == len(axis.levels):
        units, weights = axis.nodes()
        return np.broadcast_to(units, (n, size)), weights
    places = (np.arange(size) + rng.random((n, 1))) / size
    if not axis.levels:
        return places, np.full(size, 1 / size)
    units, weights = axis.nodes()
    nearest = np.minimum(np.searchsorted(np.cumsum(weights), places, side="right"), len(units) - 1)
    return units[nearest], np.full(size, 1 / size)
