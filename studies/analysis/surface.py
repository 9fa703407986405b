"""The fitted function: its mean and draws from its posterior, to be evaluated anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.gaussian_process.response import Response


@dataclass(frozen=True, slots=True)
class Functions:
    """Functions of the encoded parameters: constant + mains + pairs.

    The first is the posterior mean, the K others are drawn. `constants` is (1 + K,), `mains[i]` (1 + K, M_i),
    `pairs[i, j]` (1 + K, M_i, M_j) with i < j, all on the orthonormal bases of `axes`.
    """

    axes: tuple[Axis, ...]
    constants: Array
    mains: tuple[Array, ...]
    pairs: dict[tuple[int, int], Array]

    @classmethod
    def of(
        cls, axes: Sequence[Axis], columns: Sequence[int], constants: Array, mains: list[Array], pairs: list[Array]
    ) -> Functions:
        """Return functions with `axes[columns[i]]` as their i-th axis, for coefficients in that order."""
        placed = {c: mains[i] for i, c in enumerate(columns)}
        order = [(i, j) for i in range(len(columns)) for j in range(i + 1, len(columns))]
        ordered = {}
        for (i, j), pair in zip(order, pairs, strict=True):
            if columns[i] < columns[j]:
                ordered[columns[i], columns[j]] = pair
            else:
                ordered[columns[j], columns[i]] = pair.transpose(0, 2, 1)
        return cls(tuple(axes), constants, tuple(placed[i] for i in range(len(columns))), dict(sorted(ordered.items())))

    def scaled(self, mean: float, sd: float) -> Functions:
        """Return the functions times `sd` plus `mean`."""
        mains = tuple(sd * main for main in self.mains)
        return Functions(self.axes, mean + sd * self.constants, mains, {k: sd * pair for k, pair in self.pairs.items()})

    def __call__(self, unit: Array) -> Array:
        """Return all functions at `unit` (m, d), positions in [0, 1]: (1 + K, m), the posterior mean first."""
        bases = [axis.basis(unit[:, i]) for i, axis in enumerate(self.axes)]
        values = np.repeat(self.constants[:, None], len(unit), axis=1)
        for main, basis in zip(self.mains, bases, strict=True):
            values += main @ basis.T
        for (i, j), pair in self.pairs.items():
            values += np.sum((bases[i] @ pair) * bases[j], axis=2)
        return values


@dataclass(frozen=True, slots=True)
class Surface:
    """The fitted functions, in the metric's unit.

    latent: on the scale of the fit, where they are sums of mains and pairs
    effects: their mains and pairs on the metric's own scale
    noise: the noise's standard deviation on the scale of the fit, (1 + K,)
    """

    latent: Functions
    effects: Functions
    response: Response
    noise: Array

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The parameters' axes."""
        return self.latent.axes

    def metric(self, latent: Array) -> Array:
        """Return the expected metric for latent values (1 + K, …), or (K, …) without the mean's."""
        noise = self.noise[-len(latent) :]
        return self.response.expected(latent, noise.reshape(-1, *(1,) * (latent.ndim - 1)))

    def __call__(self, unit: Array) -> Array:
        """Return all functions at `unit` (m, d), positions in [0, 1]: (1 + K, m), the posterior mean first."""
        return self.metric(self.latent(unit))

    def main(self, i: int, unit: Array) -> Array:
        """Return the mean over all other parameters at positions `unit` (m,) of parameter i: (1 + K, m)."""
        found = self.effects
        return np.asarray(found.constants[:, None] + found.mains[i] @ self.axes[i].basis(unit).T)

    def pair(self, i: int, j: int, unit_i: Array, unit_j: Array, *, interaction_only: bool = False) -> Array:
        """Return the mean over all other parameters on the grid `unit_i` × `unit_j`: (1 + K, m_i, m_j), in any order of
        i and j.

        `interaction_only` leaves out the constant and both main effects.
        """
        if i > j:
            return self.pair(j, i, unit_j, unit_i, interaction_only=interaction_only).transpose(0, 2, 1)
        found, basis_i, basis_j = self.effects, self.axes[i].basis(unit_i), self.axes[j].basis(unit_j)
        values = basis_i @ found.pairs[i, j] @ basis_j.T
        if interaction_only:
            return np.asarray(values)
        mains = (found.mains[i] @ basis_i.T)[:, :, None] + (found.mains[j] @ basis_j.T)[:, None, :]
        return np.asarray(values + mains + found.constants[:, None, None])
