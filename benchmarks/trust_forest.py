"""A random forest with exact fANOVA: shares of variance of its trees, main effects and pairs.

Hutter, Hoos and Leyton-Brown 2014: a tree is constant on boxes, so its components are sums over its leaves. Here they
are taken under the measure of the analysis's own axes, and the shares are averaged over trees. Choices are numbered.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestRegressor

from studies.analysis.axis import Axis

Array = npt.NDArray[np.float64]

N_TREES = 64  # as many as Optuna's fANOVA has


def forest_indices(axes: Sequence[Axis], unit: Array, y: Array, *, seed: int) -> tuple[Array, Array]:
    """Return the shares of parameters (d,) and pairs (d, d) of a forest fitted to trials at `unit` (n, d)."""
    forest = RandomForestRegressor(n_estimators=N_TREES, random_state=seed).fit(unit, y)
    shares = [tree_variances(tree.tree_, axes) for tree in forest.estimators_]
    kept = [(mains / variance, pairs / variance) for mains, pairs, variance in shares if variance > 0]
    if not kept:
        return np.zeros(len(axes)), np.zeros((len(axes), len(axes)))
    return np.mean([mains for mains, _ in kept], axis=0), np.mean([pairs for _, pairs in kept], axis=0)


def tree_variances(tree: object, axes: Sequence[Axis]) -> tuple[Array, Array, float]:
    """Return a fitted tree's variances by parameter (d,) and pair (d, d), and its whole variance."""
    lows, highs, values = _leaves(tree, len(axes))
    inside, weights = zip(*(_cells(axis, lows[:, i], highs[:, i]) for i, axis in enumerate(axes)), strict=True)
    sizes = np.stack([weight @ own for weight, own in zip(weights, inside, strict=True)])  # (d, leaves)
    mean = float(values @ sizes.prod(axis=0))
    variance = float(values**2 @ sizes.prod(axis=0)) - mean**2
    effects = [inside[i] @ (values * np.delete(sizes, i, axis=0).prod(axis=0)) - mean for i in range(len(axes))]
    mains = np.array([weight @ effect**2 for weight, effect in zip(weights, effects, strict=True)])
    pairs = np.zeros((len(axes), len(axes)))
    for i, j in itertools.combinations(range(len(axes)), 2):
        others = values * np.delete(sizes, (i, j), axis=0).prod(axis=0)
        joint = (inside[i] * others) @ inside[j].T - mean - effects[i][:, None] - effects[j][None, :]
        pairs[i, j] = weights[i] @ joint**2 @ weights[j]
    return mains, pairs, max(0.0, variance)


def _leaves(tree: object, d: int) -> tuple[Array, Array, Array]:
    """Return the boxes of the leaves, lower ends excluded (leaves, d), and their values (leaves,)."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    feature, threshold = tree.feature, tree.threshold  # type: ignore[attr-defined]
    found = []
    pending = [(0, np.full(d, -np.inf), np.full(d, np.inf))]
    while pending:
        node, low, high = pending.pop()
        if left[node] < 0:
            found.append((low, high, float(tree.value[node, 0, 0])))  # type: ignore[attr-defined]
            continue
        below, above = high.copy(), low.copy()
        below[feature[node]] = above[feature[node]] = threshold[node]
        pending += [(left[node], low, below), (right[node], above, high)]
    lows, highs, values = zip(*found, strict=True)
    return np.array(lows), np.array(highs), np.array(values)


def _cells(axis: Axis, low: Array, high: Array) -> tuple[Array, Array]:
    """Cut an axis into cells on which every leaf is constant: which leaf holds which (cells, leaves), and weights."""
    if axis.levels:
        places, weights = axis.nodes()
    else:
        edges = np.unique(np.clip(np.concatenate([low, high, [0.0, 1.0]]), 0.0, 1.0))
        places, weights = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    inside = (places[:, None] > low[None, :]) & (places[:, None] <= high[None, :])
    return inside.astype(float), weights
