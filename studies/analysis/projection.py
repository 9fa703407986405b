"""The variance of functions taken apart: mains, pairs, and what is left.

A function is near a multiple of one whose components are known: that of the fit's own scale. The difference is known at
quasi-random points of the axes' measure. Least squares on products of the orthonormal polynomials gives its components.
What they leave of the variance is unexplained by mains and pairs. Of one parameter it belongs to the main, of two to
the pair. What many coefficients fit by chance is subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from studies.analysis.axis import MAX_DEGREE, Array, Axis
from studies.analysis.gaussian_process.posterior import Draws
from studies.analysis.spread_points import spread_points

HIGHEST_DEGREE = 7  # of a product, in all, where three parameters may act together: higher ones pass for them
MOST_TERMS = 1500
POINTS_A_TERM = 2.5
LEAST_POINTS = 1024

Columns = np.typing.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Components:
    """Functions taken apart, K of them.

    constants: (K,)
    mains: coefficients on the axes' bases, (K, M_i)
    pairs: coefficients on their products, (K, M_i, M_j)
    variances: of mains, pairs and the rest, (K, d + p + 1)
    """

    constants: Array
    mains: list[Array]
    pairs: list[Array]
    variances: Array

    @property
    def shares(self) -> Array:
        """The variances over their sum, of each function."""
        return np.asarray(self.variances / np.maximum(self.variances.sum(axis=1), 1e-300)[:, None])


@dataclass(frozen=True, slots=True)
class Additive:
    """K functions that are sums of mains and pairs.

    constants: (K,)
    parts: coefficients on the axes' bases, mains (K, M_i) and then pairs (K, M_i, M_j)
    values: at the points (K, N)
    """

    constants: Array
    parts: list[Array]
    values: Array

    @classmethod
    def of(cls, draws: Sequence[Draws], rows: slice) -> Additive:
        """Return some of the functions of each of `draws`, one after the other."""

        def together(parts: Sequence[Array]) -> Array:
            return np.concatenate([part[rows] for part in parts])

        parts = [together(own) for own in zip(*([*draw.mains, *draw.pairs] for draw in draws), strict=True)]
        return cls(together([draw.constants for draw in draws]), parts, together([draw.additive for draw in draws]))

    def slopes(self, values: Array) -> Array:
        """Return the slopes of functions with these values at the points on these ones: (K,)."""
        centred = self.values - self.values.mean(axis=1, keepdims=True)
        return np.asarray((centred * values).sum(axis=1) / np.maximum(np.square(centred).sum(axis=1), 1e-300))


@dataclass(frozen=True, slots=True)
class Projection:
    """Points, and least squares on them.

    bases: the axes' basis functions at the points, (N, M_i)
    terms: the columns of each main and then of each pair: the degree's index on one axis, or on two
    """

    bases: list[Array]
    terms: list[tuple[Columns, ...]]
    design: Array  # (N, 1 + terms)
    solver: Array  # (1 + terms, N)

    @classmethod
    def of(cls, axes: Sequence[Axis]) -> Projection:
        """Return the projection for functions on `axes`."""
        degrees = [np.array(axis.degrees()) for axis in axes]
        terms = _most_terms(degrees)
        n_terms = 1 + _number(terms)
        n_points = max(LEAST_POINTS, 2 ** math.ceil(math.log2(POINTS_A_TERM * n_terms)))
        bases = [axis.basis(unit) for axis, unit in zip(axes, spread_points(axes, n_points).T, strict=True)]
        columns = [np.ones((n_points, 1))]
        for own, term in zip(_owners(len(axes)), terms, strict=True):
            factors = [bases[i][:, column] for i, column in zip(own, term, strict=True)]
            columns.append(np.prod(factors, axis=0))
        design = np.concatenate(columns, axis=1)
        solver = cho_solve(cho_factor(design.T @ design), design.T)
        return cls(bases, terms, design, solver)

    def components(self, values: Array, near: Additive) -> Components:
        """Take functions with these values at the points (K, N) apart. Each is near a multiple of its own of `near`."""
        slopes = near.slopes(values)
        left = values - slopes[:, None] * near.values
        coefficients = left @ self.solver.T
        n, k = self.design.shape
        rest = np.square(left - coefficients @ self.design.T).sum(axis=1) / (n - k)
        parts, start = [], 1
        found: list[Array] = []
        for own, term in zip(near.parts, self.terms, strict=True):
            added = coefficients[:, start : start + len(term[0])]
            start += len(term[0])
            whole = slopes.reshape(-1, *(1,) * (own.ndim - 1)) * own
            index: tuple[Any, ...] = (slice(None), *term)
            whole[index] += added
            variance = np.square(whole.reshape(len(values), -1)).sum(axis=1)
            parts.append(np.maximum(0.0, variance - rest * added.shape[1] / n))
            found.append(whole)
        d = len(self.bases)
        if d <= 2:
            parts[-1] += rest
            rest = np.zeros_like(rest)
        constants = coefficients[:, 0] + slopes * near.constants
        return Components(constants, found[:d], found[d:], np.column_stack([*parts, rest]))


def _owners(d: int) -> list[tuple[int, ...]]:
    return [*((i,) for i in range(d)), *combinations(range(d), 2)]


def _terms(degrees: Sequence[Columns], most: int) -> list[tuple[Columns, ...]]:
    """Return the columns of all mains and pairs, up to a degree."""
    mains: list[tuple[Columns, ...]] = [(np.flatnonzero(degree <= most),) for degree in degrees]
    pairs = [
        np.nonzero(degrees[i][:, None] + degrees[j][None, :] <= most) for i, j in combinations(range(len(degrees)), 2)
    ]
    return [*mains, *pairs]


def _most_terms(degrees: Sequence[Columns]) -> list[tuple[Columns, ...]]:
    """Return the terms of the highest degree that keeps their number low."""
    found: list[tuple[Columns, ...]] = []
    for most in range(HIGHEST_DEGREE if len(degrees) > 2 else 2 * MAX_DEGREE, 0, -1):
        found = _terms(degrees, most)
        if _number(found) <= MOST_TERMS:
            break
    return found


def _number(terms: Sequence[tuple[Columns, ...]]) -> int:
    return sum(len(term[0]) for term in terms)
