"""Shapley effects: the variance of a function shared among parameters that depend on each other.

Where parameters are not independent, as on a region that is no box, Sobol indices do not sum to one. Owen (2014,
doi:10.1137/130936233) shares the variance by the Shapley value of the game in which a set S of parameters earns
Var(E[f | x_S]). Owen & Prieur (2017, arXiv:1610.02080) show what it means for dependent ones. Here functions are known
on grids, so all sets are enumerated, and nothing is sampled.
"""

from __future__ import annotations

import math

import numpy as np

from studies.analysis.axis import Array

ROUNDING = 1e-12  # of the greatest value


def shapley_effects(values: Array, weights: Array) -> Array:
    """Return the effects of d parameters on K functions, shares of the variance: (K, d).

    `values` (K, n_1, …, n_d) are on grids, and `weights` of the same shape are the points' probabilities, up to a
    factor. A function without variance has NaN: its deviations from the mean are the rounding errors of its values.
    """
    d = values.ndim - 1
    deviations = values - _means(values, weights)
    earned = _earned(deviations * weights, weights)
    effects = np.zeros((len(values), d))
    for i in range(d):
        for players in range(2**d):
            if not players >> i & 1:
                n = players.bit_count()
                share = 1 / (d * math.comb(d - 1, n))
                effects[:, i] += share * (earned[players | 1 << i] - earned[players])
    variance = earned[2**d - 1] - earned[0]
    rounding = ROUNDING * np.where(weights > 0, np.abs(values), 0.0).reshape(len(values), -1).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(variance > rounding**2, 1.0, np.nan)[:, None] * effects / variance[:, None])


def _means(values: Array, weights: Array) -> Array:
    """Return the weighted mean of each function, NaN without weights: (K, 1, …)."""
    over = tuple(range(1, values.ndim))
    total = weights.sum(axis=over, keepdims=True)
    sums = (values * weights).sum(axis=over, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0))


def _earned(sums: Array, weights: Array) -> dict[int, Array]:
    """Return the mean square of E[f | x_S] of each set S, a number with the bits of its members: (K,) each.

    Parameters are summed over one after the other. What two sets have in common is summed once.
    """
    total = weights.reshape(len(weights), -1).sum(axis=1)
    earned = {}

    def visit(sums: Array, weights: Array, i: int, players: int) -> None:
        """Keep or sum over parameter i. The axes of the kept ones stand before its own."""
        if sums.ndim == 1 + players.bit_count():
            squares = np.divide(sums**2, weights, out=np.zeros_like(sums), where=weights > 0)
            squares = squares.reshape(len(sums), -1).sum(axis=1)
            earned[players] = np.divide(squares, total, out=np.full(len(sums), np.nan), where=total > 0)
            return
        own = 1 + players.bit_count()
        visit(sums, weights, i + 1, players | 1 << i)
        visit(sums.sum(axis=own), weights.sum(axis=own), i + 1, players)

    visit(sums, weights, 0, 0)
    return earned
