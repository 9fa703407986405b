"""A factorial design taken apart: cells, blocks, and the sums of squares of its terms, balanced or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.linalg import helmert

from studies.analysis.axis import Array

Codes = npt.NDArray[np.intp]
Term = tuple[int, ...]  # the positions of its factors


@dataclass(frozen=True, slots=True)
class Design:
    """A design of k factors with n trials.

    shape: the number of levels of each factor
    codes: (n, k) levels
    cell: (n,) the cell of each trial
    counts: the number of trials of each filled cell
    terms: main effects, pairs and so on
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    codes: Codes
    cell: Codes
    counts: Codes
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, columns: Mapping[str, Codes], max_order: int) -> Design:
        """Return the design of each factor's codes (n,), with all terms up to an order."""
        codes = np.column_stack(list(columns.values()))
        shape = tuple(int(size) + 1 for size in codes.max(axis=0))
        _, cell, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        return cls(tuple(columns), shape, codes, cell, counts, _terms(len(shape), max_order))

    @property
    def is_full(self) -> bool:
        """Whether every cell has a trial."""
        return len(self.counts) == math.prod(self.shape)

    @property
    def is_balanced(self) -> bool:
        """Whether every cell has as many trials."""
        return self.is_full and int(np.ptp(self.counts)) == 0

    def df(self, term: Term) -> int:
        """Return a term's degrees of freedom in a full design."""
        return math.prod(self.shape[i] - 1 for i in term)

    def n_effects(self, order: int) -> int:
        """Return the number of means in a model with all terms up to an order."""
        numbers = [1]  # of order 0, 1, …: coefficients of the product of 1 + (levels − 1)·z
        for size in self.shape:
            numbers = [a + (size - 1) * b for a, b in zip([*numbers, 0], [0, *numbers], strict=True)]
        return sum(numbers[: order + 1])


def _terms(n_factors: int, max_order: int) -> tuple[Term, ...]:
    return tuple(t for order in range(1, max_order + 1) for t in combinations(range(n_factors), order))


@dataclass(frozen=True, slots=True)
class SumOfSquares:
    """A sum of squares with its df. Noncentrality ÷ `size` is the variance behind it, in units of the noise's."""

    sum_sq: float
    df: int
    size: float = 1.0

    def variance(self, noise: float) -> float:
        """Return the unbiased estimate in units of the noise's variance. It can be negative."""
        return (self.sum_sq / noise - self.df) / self.size


Parts = dict[Term, SumOfSquares]


def block_indicators(design: Design, block: Sequence[object] | None) -> Array:
    """Return indicators of the blocks but the first (n, blocks − 1), or none if blocks do not connect all cells."""
    codes = np.zeros(len(design.cell), dtype=np.intp) if block is None else level_codes(block)
    dummies = np.eye(int(codes.max()) + 1)[codes, 1:]
    _, scale, _ = _svd(dummies - _cell_means(design, dummies)[design.cell])
    return dummies if len(scale) == dummies.shape[1] else dummies[:, :0]


def _cell_means(design: Design, columns: Array) -> Array:
    sums = np.zeros((len(design.counts), columns.shape[1]))
    np.add.at(sums, design.cell, columns)
    return np.asarray(sums / design.counts[:, None])


def _svd(x: Array) -> tuple[Array, Array, Array]:
    """Return the singular value decomposition up to the rank. Entries of x are about 1."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    rank = int((s > max(x.shape) * np.finfo(float).eps * s.max(initial=1.0)).sum())
    return u[:, :rank], s[:rank], v[:rank]


@dataclass(frozen=True, slots=True)
class AnovaFit:
    """The sums of squares behind tests and effect sizes.

    tests: of each term
    effects: of each term, that behind its effect size and that of all others
    interactions: of all but the main effects, and of the main effects
    order: terms above it are part of the error, or would be. It is the number of factors if the error is pure.
    """

    tests: dict[Term, SumOfSquares]
    effects: dict[Term, tuple[SumOfSquares, SumOfSquares]]
    interactions: tuple[SumOfSquares, SumOfSquares]
    lack: SumOfSquares
    block: SumOfSquares
    error: SumOfSquares
    order: int
    is_orthogonal: bool


def fit_design(design: Design, y: Array, dummies: Array) -> AnovaFit:
    """Fit y on cells and blocks, blocks within cells (Frisch–Waugh–Lovell), then take the cells apart."""
    means = _cell_means(design, np.column_stack([y, dummies]))
    within = y - means[design.cell, 0]
    basis, scale, rotation = _svd(dummies - means[design.cell, 1:])
    fitted = basis.T @ within
    residual = within - basis @ fitted
    error = SumOfSquares(float(residual @ residual), len(y) - len(means) - len(scale))
    block = SumOfSquares(float(fitted @ fitted), len(scale), len(y))
    root = means[:, 1:] @ (rotation.T / scale)  # the means' covariance is noise · (diag(1/counts) + root·rootᵀ)
    adjusted = means[:, 0] - root @ fitted
    if design.is_balanced and np.ptp(root, axis=0).max(initial=0.0) < 1e-9:
        return _orthogonal(design, adjusted, block=block, error=error)
    return _type_two(design, y, dummies, adjusted=adjusted, root=root, block=block, error=error)


def _orthogonal(design: Design, means: Array, *, block: SumOfSquares, error: SumOfSquares) -> AnovaFit:
    """Take the design apart the classical way. Every cell, and every block within it, has as many trials."""
    highest = tuple(range(len(design.shape)))
    wanted = dict.fromkeys((*design.terms, highest))
    parts, total = _equal_weights(design, means, np.empty((len(means), 0)), wanted)
    order = len(highest) if error.df else len(highest) - 1
    if not error.df:
        error, total = parts[highest], _less(total, parts[highest])
    tested = {term: parts[term] for term in design.terms if len(term) <= order}
    effects = {term: (part, _less(total, part)) for term, part in tested.items()}
    lack = total
    for part in tested.values():
        lack = _less(lack, part)
    tests = {term: parts[term] for term in design.terms}
    return AnovaFit(tests, effects, _interactions(parts, total), lack, block, error, order, is_orthogonal=True)


def _equal_weights(design: Design, means: Array, root: Array, terms: Iterable[Term]) -> tuple[Parts, SumOfSquares]:
    """Return the variances of terms and of all together over a complete grid of cells, sized by their noise."""
    grid = np.column_stack([means, root]).reshape(*design.shape, -1)
    axes = tuple(range(len(design.shape)))
    noise_of_a_mean = float((1 / design.counts).mean()) / len(means)

    def part(effect: Array, df: int) -> SumOfSquares:
        variance, *noise = np.square(effect).mean(axis=axes).tolist()
        size = df / (df * noise_of_a_mean + sum(noise))
        return SumOfSquares(variance * size, df, size)

    parts = {term: part(_effect(grid, term), design.df(term)) for term in terms}
    return parts, part(grid - grid.mean(axis=axes, keepdims=True), len(means) - 1)


def _effect(grid: Array, term: Term) -> Array:
    """Return a term's part of a function on the grid: zero mean along its axes, constant along the others."""
    for axis in range(grid.ndim - 1):
        mean = grid.mean(axis=axis, keepdims=True)
        grid = grid - mean if axis in term else mean
    return grid


def _less(whole: SumOfSquares, part: SumOfSquares) -> SumOfSquares:
    """Return the rest of the whole without a part, sized so that the noise of the two adds up."""
    df = whole.df - part.df
    if df <= 0:
        return SumOfSquares(0.0, 0)
    size = df / (whole.df / whole.size - part.df / part.size)
    return SumOfSquares(max(0.0, whole.sum_sq / whole.size - part.sum_sq / part.size) * size, df, size)


def _interactions(parts: Mapping[Term, SumOfSquares], whole: SumOfSquares) -> tuple[SumOfSquares, SumOfSquares]:
    """Return all but the main effects, and the main effects together."""
    together = whole
    for term, part in parts.items():
        if len(term) == 1:
            together = _less(together, part)
    return together, _less(whole, together)


def _type_two(
    design: Design, y: Array, dummies: Array, *, adjusted: Array, root: Array, block: SumOfSquares, error: SumOfSquares
) -> AnovaFit:
    """Take the design apart by nested least squares: a term given the blocks and all terms that do not contain it."""
    n, order = len(y), len(design.shape)

    @cache
    def columns(term: Term) -> Array:
        product = np.ones((n, 1))
        for i in term:
            contrasts = helmert(design.shape[i]).T[design.codes[:, i]] * math.sqrt(design.shape[i])
            product = (product[:, :, None] * contrasts[:, None, :]).reshape(n, -1)
        return product

    @cache
    def left_by(terms: tuple[Term, ...]) -> SumOfSquares:
        basis, scale, _ = _svd(np.column_stack([np.ones(n), dummies, *map(columns, terms)]))
        residual = y - basis @ (basis.T @ y)
        return SumOfSquares(float(residual @ residual), n - len(scale))

    while not error.df and order > 1:
        order -= 1
        if design.n_effects(order) < n:
            error = left_by(_terms(len(design.shape), order))
    considered = tuple(term for term in design.terms if len(term) <= order)
    tests = {}
    for term in design.terms:
        others = tuple(other for other in considered if not set(term) <= set(other))
        tests[term] = replace(_less(left_by(others), left_by((*others, term))), size=n)
    if design.is_full and order == len(design.shape):
        parts, whole = _equal_weights(design, adjusted, root, considered)
    else:
        parts, whole = tests, replace(_less(left_by(()), error), size=n)
    effects = {term: (parts[term], _less(whole, parts[term])) for term in considered if parts[term].df}
    together = _interactions(parts, whole)
    lack = _less(left_by(considered), error)
    return AnovaFit(tests, effects, together, lack, block, error, order, is_orthogonal=False)


def level_codes(column: Sequence[object]) -> Codes:
    """Return the number of each level (n,), in order of appearance."""
    order: dict[object, int] = {}
    return np.array([order.setdefault(level, len(order)) for level in column], dtype=np.intp)
