"""The variance of functions taken apart: mains, pairs, and what is left.

Functions are known by their values at quasi-random points of the axes' measure. Least squares on products of the
orthonormal polynomials gives their components. What it leaves of the variance is unexplained by mains and pairs. What
many coefficients fit by chance is subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import qmc

from studies.analysis.axis import Array, Axis

MAIN_DEGREE = 8
PAIR_DEGREES = range(7, 1, -1)  # of a product, in all: the highest that leaves few enough terms
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
        bases = [axis.basis(unit) for axis, unit in zip(axes, _points(axes, n_points).T, strict=True)]
        columns = [np.ones((n_points, 1))]
        for own, term in zip(_owners(len(axes)), terms, strict=True):
            factors = [bases[i][:, column] for i, column in zip(own, term, strict=True)]
            columns.append(np.prod(factors, axis=0))
        design = np.concatenate(columns, axis=1)
        solver = cho_solve(cho_factor(design.T @ design), design.T)
        return cls(bases, terms, design, solver)

    def components(self, values: Array) -> Components:
        """Take functions with these values at the points (K, N) apart."""
        coefficients = values @ self.solver.T
        n, k = self.design.shape
        left = np.square(values - coefficients @ self.design.T).sum(axis=1) / (n - k)  # the variance that is left
        d = len(self.bases)
        parts, start = [], 1
        mains: list[Array] = []
        pairs: list[Array] = []
        for own, term in zip(_owners(d), self.terms, strict=True):
            found = coefficients[:, start : start + len(term[0])]
            start += len(term[0])
            parts.append(np.maximum(0.0, np.square(found).sum(axis=1) - left * found.shape[1] / n))
            filled = np.zeros((len(values), *(self.bases[i].shape[1] for i in own)))
            index: tuple[Any, ...] = (slice(None), *term)
            filled[index] = found
            (mains if len(own) == 1 else pairs).append(filled)
        explained = np.array(parts).T
        rest = np.maximum(0.0, values.var(axis=1) - explained.sum(axis=1))
        return Components(coefficients[:, 0], mains, pairs, np.column_stack([explained, rest]))


def _owners(d: int) -> list[tuple[int, ...]]:
    return [*((i,) for i in range(d)), *combinations(range(d), 2)]


def _terms(degrees: Sequence[Columns], most: int) -> list[tuple[Columns, ...]]:
    """Return the columns of all mains and pairs, with products up to a degree."""
    mains: list[tuple[Columns, ...]] = [(np.flatnonzero(degree <= MAIN_DEGREE),) for degree in degrees]
    pairs = [
        np.nonzero(degrees[i][:, None] + degrees[j][None, :] <= most) for i, j in combinations(range(len(degrees)), 2)
    ]
    return [*mains, *pairs]


def _most_terms(degrees: Sequence[Columns]) -> list[tuple[Columns, ...]]:
    """Return the terms with the highest degree of products that keeps their number low."""
    found: list[tuple[Columns, ...]] = []
    for most in PAIR_DEGREES:
        found = _terms(degrees, most)
        if _number(found) <= MOST_TERMS:
            break
    return found


def _number(terms: Sequence[tuple[Columns, ...]]) -> int:
    return sum(len(term[0]) for term in terms)


def _points(axes: Sequence[Axis], n: int) -> Array:
    """Return quasi-random positions in [0, 1] under the axes' measure: (n, d)."""
    unit = qmc.Sobol(len(axes), rng=np.random.default_rng(0)).random(n)
    for i, axis in enumerate(axes):
        if axis.levels:
            nodes, weights = axis.nodes()
            unit[:, i] = nodes[
                np.minimum(np.searchsorted(np.cumsum(weights), unit[:, i], side="right"), len(nodes) - 1)
            ]
    return np.asarray(unit)
