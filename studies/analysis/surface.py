"""The fitted function: its mean and draws from its posterior, to be evaluated anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.posterior import Draw


@dataclass(frozen=True, slots=True)
class Surface:
    """Functions of the encoded parameters, in the target's unit: constant + mains + pairs, without the triples.

    The first is the posterior mean, the K others are drawn. `constants` is (1 + K,), `mains[i]` (1 + K, M_i),
    `pairs[i, j]` (1 + K, M_i, M_j) with i < j, all on the orthonormal bases of `axes`.
    """

    axes: tuple[Axis, ...]
    constants: Array
    mains: tuple[Array, ...]
    pairs: dict[tuple[int, int], Array]

    @classmethod
    def of(
        cls,
        axes: Sequence[Axis],
        columns: Sequence[int],
        mean_draw: Draw,
        draws: Sequence[Draw],
        *,
        mean: float,
        sd: float,
    ) -> Surface:
        """Return the surface of draws with `axes[columns[i]]` as their i-th axis, for a target with `mean` and `sd`."""
        functions = [mean_draw, *draws]
        mains = {c: sd * np.array([draw.mains[i] for draw in functions]) for i, c in enumerate(columns)}
        pairs = {}
        order = [(i, j) for i in range(len(columns)) for j in range(i + 1, len(columns))]
        for k, (i, j) in enumerate(order):
            stacked = sd * np.array([draw.pairs[k] for draw in functions])
            if columns[i] < columns[j]:
                pairs[columns[i], columns[j]] = stacked
            else:
                pairs[columns[j], columns[i]] = stacked.transpose(0, 2, 1)
        constants = mean + sd * np.array([draw.constant for draw in functions])
        return cls(tuple(axes), constants, tuple(mains[i] for i in range(len(columns))), dict(sorted(pairs.items())))

    def __call__(self, unit: Array) -> Array:
        """Return all functions at `unit` (m, d), positions in [0, 1]: (1 + K, m), the posterior mean first."""
        bases = [axis.basis(unit[:, i]) for i, axis in enumerate(self.axes)]
        values = np.repeat(self.constants[:, None], len(unit), axis=1)
        for main, basis in zip(self.mains, bases, strict=True):
            values += main @ basis.T
        for (i, j), pair in self.pairs.items():
            values += np.sum((bases[i] @ pair) * bases[j], axis=2)
        return values

    def main(self, i: int, unit: Array) -> Array:
        """Return the mean over all other parameters at positions `unit` (m,) of parameter i: (1 + K, m)."""
        return np.asarray(self.constants[:, None] + self.mains[i] @ self.axes[i].basis(unit).T)

    def pair(self, i: int, j: int, unit_i: Array, unit_j: Array, *, interaction_only: bool = False) -> Array:
        """Return the mean over all other parameters on the grid `unit_i` × `unit_j`: (1 + K, m_i, m_j), in any order of
        i and j.

        `interaction_only` leaves out the constant and both main effects.
        """
        if i > j:
            return self.pair(j, i, unit_j, unit_i, interaction_only=interaction_only).transpose(0, 2, 1)
        basis_i, basis_j = self.axes[i].basis(unit_i), self.axes[j].basis(unit_j)
        values = basis_i @ self.pairs[i, j] @ basis_j.T
        if interaction_only:
            return np.asarray(values)
        mains = (self.mains[i] @ basis_i.T)[:, :, None] + (self.mains[j] @ basis_j.T)[:, None, :]
        return np.asarray(values + mains + self.constants[:, None, None])
