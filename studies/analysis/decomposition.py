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

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Term = tuple[int, ...]  # the positions of its factors


@dataclass(frozen=True, slots=True)
class Design:
    """Factors and their numbers of levels; (n, k) codes; each trial's cell; the filled cells' trials; the terms."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    codes: Codes
    cell: Codes
    counts: Codes
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, columns: Mapping[str, Codes], max_order: int) -> Design:
        """From each factor's codes (n,), with all terms up to an order."""
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
        """A term's degrees of freedom in a full design."""
        return math.prod(self.shape[i] - 1 for i in term)

    def n_effects(self, order: int) -> int:
        """The number of means in a model with all terms up to an order."""
        numbers = [1]  # of order 0, 1, …: coefficients of the product of 1 + (levels − 1)·z
        for size in self.shape:
            numbers = [a + (size - 1) * b for a, b in zip([*numbers, 0], [0, *numbers], strict=True)]
        return sum(numbers[: order + 1])


def _terms(n_factors: int, max_order: int) -> tuple[Term, ...]:
    return tuple(t for order in range(1, max_order + 1) for t in combinations(range(n_factors), order))


@dataclass(frozen=True, slots=True)
class Part:
    """A sum of squares with its df; noncentrality ÷ `size` is the variance behind it in units of the noise's."""

    sum_sq: float
    df: int
    size: float = 1.0

    def variance(self, noise: float) -> float:
        """The unbiased estimate, in units of the noise's variance; it can be negative."""
        return (self.sum_sq / noise - self.df) / self.size


def block_indicators(design: Design, block: Sequence[object] | None) -> Array:
    """Indicators of the blocks but the first (n, blocks − 1); none where blocks do not connect all cells."""
    codes = np.zeros(len(design.cell), dtype=np.intp) if block is None else level_codes(block)
    dummies = np.eye(int(codes.max()) + 1)[codes, 1:]
    _, scale, _ = _svd(dummies - _cell_means(design, dummies)[design.cell])
    return dummies if len(scale) == dummies.shape[1] else dummies[:, :0]


def _cell_means(design: Design, columns: Array) -> Array:
    sums = np.zeros((len(design.counts), columns.shape[1]))
    np.add.at(sums, design.cell, columns)
    return np.asarray(sums / design.counts[:, None])


def _svd(x: Array) -> tuple[Array, Array, Array]:
    """The singular value decomposition up to the rank; entries of x are about 1."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    rank = int((s > max(x.shape) * np.finfo(float).eps * s.max(initial=1.0)).sum())
    return u[:, :rank], s[:rank], v[:rank]


@dataclass(frozen=True, slots=True)
class AnovaFit:
    """What the tests and effect sizes are made of.

    `tests` are the terms' sums of squares, `effects` those behind effect sizes: own and all others'; `interactions`
    are all but the main effects, and the main effects.
    Terms above `order` are part of the error, or would be; it is the number of factors where the error is pure.
    """

    tests: dict[Term, Part]
    effects: dict[Term, tuple[Part, Part]]
    interactions: tuple[Part, Part]
    lack: Part
    block: Part
    error: Part
    order: int
    is_orthogonal: bool


def fit_design(design: Design, y: Array, dummies: Array) -> AnovaFit:
    """Least squares of y on cells and blocks, blocks within cells (Frisch–Waugh–Lovell), then the cells' parts."""
    means = _cell_means(design, np.column_stack([y, dummies]))
    within = y - means[design.cell, 0]
    basis, scale, rotation = _svd(dummies - means[design.cell, 1:])
    fitted = basis.T @ within
    residual = within - basis @ fitted
    error = Part(float(residual @ residual), len(y) - len(means) - len(scale))
    block = Part(float(fitted @ fitted), len(scale), len(y))
    root = means[:, 1:] @ (rotation.T / scale)  # the means' covariance is noise · (diag(1/counts) + root·rootᵀ)
    adjusted = means[:, 0] - root @ fitted
    if design.is_balanced and np.ptp(root, axis=0).max(initial=0.0) < 1e-9:
        return _orthogonal(design, adjusted, block=block, error=error)
    return _type_two(design, y, dummies, adjusted=adjusted, root=root, block=block, error=error)


def _orthogonal(design: Design, means: Array, *, block: Part, error: Part) -> AnovaFit:
    """The classical decomposition: every cell, and every block within it, has as many trials."""
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


def _equal_weights(design: Design, means: Array, root: Array, terms: Iterable[Term]) -> tuple[dict[Term, Part], Part]:
    """The variances of terms, and of all together, over a complete grid of cells, as parts sized by their noise."""
    grid = np.column_stack([means, root]).reshape(*design.shape, -1)
    axes = tuple(range(len(design.shape)))
    noise_of_a_mean = float((1 / design.counts).mean()) / len(means)

    def part(effect: Array, df: int) -> Part:
        variance, *noise = np.square(effect).mean(axis=axes).tolist()
        size = df / (df * noise_of_a_mean + sum(noise))
        return Part(variance * size, df, size)

    parts = {term: part(_effect(grid, term), design.df(term)) for term in terms}
    return parts, part(grid - grid.mean(axis=axes, keepdims=True), len(means) - 1)


def _effect(grid: Array, term: Term) -> Array:
    """A term's part of a function on the grid: zero mean along each of its axes, constant along the others."""
    for axis in range(grid.ndim - 1):
        mean = grid.mean(axis=axis, keepdims=True)
        grid = grid - mean if axis in term else mean
    return grid


def _less(whole: Part, part: Part) -> Part:
    """What is left of the whole when a part is taken out, sized so that the noise of the two adds up to the whole's."""
    df = whole.df - part.df
    if df <= 0:
        return Part(0.0, 0)
    size = df / (whole.df / whole.size - part.df / part.size)
    return Part(max(0.0, whole.sum_sq / whole.size - part.sum_sq / part.size) * size, df, size)


def _interactions(parts: Mapping[Term, Part], whole: Part) -> tuple[Part, Part]:
    """All but the main effects, and the main effects together."""
    together = whole
    for term, part in parts.items():
        if len(term) == 1:
            together = _less(together, part)
    return together, _less(whole, together)


def _type_two(
    design: Design, y: Array, dummies: Array, *, adjusted: Array, root: Array, block: Part, error: Part
) -> AnovaFit:
    """Nested least squares: a term given the blocks and all terms that do not contain it."""
    n, order = len(y), len(design.shape)

    @cache
    def columns(term: Term) -> Array:
        product = np.ones((n, 1))
        for i in term:
            contrasts = helmert(design.shape[i]).T[design.codes[:, i]] * math.sqrt(design.shape[i])
            product = (product[:, :, None] * contrasts[:, None, :]).reshape(n, -1)
        return product

    @cache
    def left_by(terms: tuple[Term, ...]) -> Part:
        basis, scale, _ = _svd(np.column_stack([np.ones(n), dummies, *map(columns, terms)]))
        residual = y - basis @ (basis.T @ y)
        return Part(float(residual @ residual), n - len(scale))

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
    """Levels numbered in order of appearance (n,)."""
    order: dict[object, int] = {}
    return np.array([order.setdefault(level, len(order)) for level in column], dtype=np.intp)
