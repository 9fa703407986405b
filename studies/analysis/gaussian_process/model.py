"""An additive ANOVA Gaussian process: one component a parameter, one a pair, and one for all triples together.

    y(x) = constant + Σ f_i(x_i) + Σ f_ij(x_i, x_j) + rest(x) + noise

Each f_i has the zero-mean, unit-variance kernel k_i of its axis times a variance of its own. Each f_ij has the product
k_i·k_j times a variance of its own, and `rest` the mean of all products of three. So components are orthogonal under
the measure, and an effect of three parameters is not pushed into pairs (Durrande et al. 2013, arXiv:1106.3571). Lu,
Boukouvalas and Hensman (2022) let all components of an order share a variance. That was measured to be worse.

Variances are t², and t has a Cauchy prior about 0. An unneeded component vanishes under it, a needed one is hardly
shrunk. A normal prior fitted 60 shuffled trials of 6 parameters with a leave-one-out Q² of up to .9, this one of .24.
The hyperparameters' mode is found first, and then they are drawn from around it (posterior.py). The precision at the
mode is the expected information plus the exact curvature of t: at t = 0 the likelihood is flat in t to first order, but
not to second.

A trial's value may be known only roughly, such as one that is predicted from the curve of a pruned training. The
covariance of such errors is given and is added to that of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack

from studies.analysis.axis import Array, Axis
from studies.analysis.gaussian_process.kernel import AxisKernel, kernel_of

CONSTANT_VARIANCE = 4.0  # of the standardised target's mean over the measure
JITTER = 1e-8
LENGTH = (np.log(0.5), 0.8)  # prior mean and sd of the log length scale, in units of the range
LENGTH_BOUNDS = (np.log(0.05), np.log(5.0))
AMPLITUDE_SCALES = (0.3, 0.1, 0.1)  # of t's Cauchy prior: a main, a pair, rest
AMPLITUDE_BOUNDS = (0.01, 5.0)  # never exactly 0: the gradient by t is 0 there, for all data
NOISE = (np.log(0.2), 1.0)  # prior mean and sd of the log noise sd
NOISE_BOUNDS = (np.log(1e-3), np.log(2.0))
BLOCK = 64  # rows of a matrix product that are held at once
CACHED_NUMBERS = 250_000  # of a block's kernels: 2 MB
FAILED = 1e10  # minus the log posterior where the covariance cannot be inverted
LEAST_PRECISION = 0.1  # of a direction in the hyperparameters: their priors alone know more


@dataclass(frozen=True, slots=True)
class Theta:
    """Hyperparameters: log length scales (d), amplitudes t of mains (d), pairs (p) and rest, log noise sd."""

    log_lengths: Array
    mains: Array
    pairs: Array
    rest: float
    log_noise: float

    @property
    def noise_variance(self) -> float:
        """Of the standardised target."""
        return float(np.exp(2 * self.log_noise))


@dataclass(frozen=True, slots=True)
class Matrices:
    """The matrices of the data under one Theta.

    covariances: C of each axis
    slopes: their derivatives by the log length
    total: the covariance matrix of the trials (n, n)
    triples: the mean product of three kernels in it, None with fewer than three axes
    """

    covariances: list[Array]
    slopes: list[Array]
    pair_variances: Array  # (d, d), 0 on the diagonal
    total: Array
    triples: Array | None


@dataclass(frozen=True, slots=True)
class Gradient:
    """The derivative of a function of the covariance matrix: by log lengths (d), and by the variances of mains (d),
    pairs (p), rest and noise."""

    lengths: Array
    mains: Array
    pairs: Array
    rest: float
    noise: float


@dataclass(frozen=True, slots=True)
class Solution:
    """The inverse of the covariance matrix (n, n), its product with the target, and half its log determinant."""

    inverse: Array
    alpha: Array
    half_log_det: float


@dataclass(frozen=True, slots=True)
class Model:
    """The data and the kernels.

    y: (n,) standardised
    bases: the axes' basis functions at the trials, (n, M_i)
    errors: the covariance of the values' own errors (n, n), None if all are exact
    """

    y: Array
    bases: list[Array]
    kernels: list[AxisKernel]
    errors: Array | None = None

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs (i, j) of parameters, with i < j."""
        return tuple(combinations(range(len(self.bases)), 2))

    @property
    def n_triples(self) -> int:
        """How many triples of parameters there are."""
        return math.comb(len(self.bases), 3)

    def rows(self, chosen: np.typing.NDArray[np.intp]) -> Model:
        """Return the same model of some of the trials."""
        errors = None if self.errors is None else self.errors[np.ix_(chosen, chosen)]
        return Model(self.y[chosen], [basis[chosen] for basis in self.bases], self.kernels, errors)

    def theta(self, vector: Array) -> Theta:
        """Return the hyperparameters in a flat vector: lengths, mains, pairs, rest, noise."""
        d, p = len(self.bases), len(self.pairs)
        parts = np.split(vector, [d, 2 * d, 2 * d + p, 2 * d + p + 1])
        return Theta(parts[0], parts[1], parts[2], float(parts[3][0]), float(parts[4][0]))

    def start(self, length: float) -> Array:
        """Return a vector to start from."""
        d, p = len(self.bases), len(self.pairs)
        return np.array([np.log(length)] * d + [0.4] * d + [0.2] * p + [0.2, np.log(0.3)])

    def bounds(self) -> list[tuple[float, float]]:
        """Return the box in which the vector lies."""
        d, p = len(self.bases), len(self.pairs)
        return [LENGTH_BOUNDS] * d + [AMPLITUDE_BOUNDS] * (d + p + 1) + [NOISE_BOUNDS]

    def penalty(self, vector: Array) -> tuple[float, Array, Array]:
        """Return minus the log prior (up to a constant), its gradient and its curvature."""
        d, p = len(self.bases), len(self.pairs)
        scales = np.repeat(AMPLITUDE_SCALES, [d, p, 1])
        t = vector[d:-1] / scales
        lengths, noise = (vector[:d] - LENGTH[0]) / LENGTH[1], (vector[-1] - NOISE[0]) / NOISE[1]
        value = float(np.log1p(t**2).sum() + (lengths**2).sum() / 2 + noise**2 / 2)
        gradient = np.concatenate([lengths / LENGTH[1], 2 * t / (1 + t**2) / scales, [noise / NOISE[1]]])
        curvature = 2 * (1 - t**2) / (1 + t**2) ** 2 / scales**2
        return value, gradient, np.concatenate([np.full(d, LENGTH[1] ** -2), curvature, [NOISE[1] ** -2]])

    def matrices(self, theta: Theta) -> Matrices:
        """Return the covariance matrix at `theta`, and its parts."""
        d, n = len(self.bases), len(self.y)
        found = [kernel.covariance(log) for kernel, log in zip(self.kernels, theta.log_lengths, strict=True)]
        variances = np.zeros((d, d))
        for (i, j), t in zip(self.pairs, theta.pairs, strict=True):
            variances[i, j] = variances[j, i] = t**2
        total, triples = np.empty((n, n)), np.empty((n, n)) if self.n_triples else None
        matrices = Matrices([c for c, _ in found], [slope for _, slope in found], variances, total, triples)
        for rows in self._blocks():
            axes = self._axes(matrices.covariances, rows)
            inner = (theta.mains**2)[:, None, None] + self._sums(matrices, axes) / 2
            total[rows] = CONSTANT_VARIANCE + (axes * inner).sum(axis=0)
            if triples is not None:
                triples[rows] = mean_triple(axes, self.n_triples)
                total[rows] += theta.rest**2 * triples[rows]
        if self.errors is not None:
            total += self.errors
        total[np.diag_indices(n)] += theta.noise_variance + JITTER
        return matrices

    def solve(self, matrices: Matrices) -> Solution:
        """Invert the covariance. Raises LinAlgError where it is not positive definite."""
        lower = cholesky(matrices.total, lower=True, check_finite=False)
        inverse, info = lapack.dpotri(lower, lower=1)
        if info:
            raise LinAlgError(f"dpotri returned {info}")
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        return Solution(inverse, inverse @ self.y, float(np.log(np.diag(lower)).sum()))

    def gradient(self, theta: Theta, matrices: Matrices, solution: Solution) -> Gradient:
        """Return the derivative of minus the log likelihood: Σ weight ∘ ∂K. `weight` (n, n) is its derivative by K."""
        d = len(self.bases)
        weight = (solution.inverse - np.outer(solution.alpha, solution.alpha)) / 2
        lengths, mains, products = np.zeros(d), np.zeros(d), np.zeros((d, d))
        for rows in self._blocks():
            axes = self._axes(matrices.covariances, rows)
            weighted = axes * weight[rows]
            flat = axes.reshape(d, -1)
            mains += weighted.reshape(d, -1).sum(axis=1)
            products += weighted.reshape(d, -1) @ flat.T
            slopes = self._length_slopes(theta, matrices, axes, rows)
            lengths += (slopes * weight[rows]).reshape(d, -1).sum(axis=1)
        pairs = np.array([products[i, j] for i, j in self.pairs])
        rest = 0.0 if matrices.triples is None else float(np.vdot(weight, matrices.triples))
        return Gradient(lengths, mains, pairs, rest, float(np.trace(weight)))

    def _blocks(self) -> list[slice]:
        """Return rows of the trials, few enough for all kernels' entries to lie in the processor's cache."""
        n, d = len(self.y), len(self.bases)
        size = max(16, CACHED_NUMBERS // (d * n))
        return [slice(start, start + size) for start in range(0, n, size)]

    def _axes(self, covariances: Sequence[Array], rows: slice) -> Array:
        """Return the axes' kernels, or their slopes, between some trials and all: (d, rows, n)."""
        return np.array([basis[rows] @ c @ basis.T for basis, c in zip(self.bases, covariances, strict=True)])

    def _sums(self, matrices: Matrices, axes: Array) -> Array:
        """Return Σ_j variance_ij k_j for each axis i: (d, rows, n)."""
        d = len(self.bases)
        return np.asarray((matrices.pair_variances @ axes.reshape(d, -1)).reshape(axes.shape))

    def _length_slopes(self, theta: Theta, matrices: Matrices, axes: Array, rows: slice) -> Array:
        """Return the covariance's derivatives by the log lengths: (d, rows, n)."""
        inner = (theta.mains**2)[:, None, None] + self._sums(matrices, axes)
        if self.n_triples:
            first = axes.sum(axis=0)
            second = (first * first - (axes * axes).sum(axis=0)) / 2
            inner += theta.rest**2 / self.n_triples * (second - axes * (first - axes))
        return np.asarray(inner * self._axes(matrices.slopes, rows))

    def objective(self, vector: Array) -> tuple[float, Array]:
        """Return minus the log posterior (up to a constant) and its gradient."""
        theta = self.theta(vector)
        matrices = self.matrices(theta)
        try:
            solution = self.solve(matrices)
        except LinAlgError:
            return FAILED, np.zeros_like(vector)
        by = self.gradient(theta, matrices, solution)
        amplitudes = [2 * theta.mains * by.mains, 2 * theta.pairs * by.pairs, [2 * theta.rest * by.rest]]
        gradient = np.concatenate([by.lengths, *amplitudes, [2 * theta.noise_variance * by.noise]])
        return self.minus_log_posterior(vector, solution), gradient + self.penalty(vector)[1]

    def potential(self, vector: Array) -> tuple[float, Array]:
        """Return minus the log posterior and its gradient as `objective`, infinite outside the bounds.

        An amplitude may have either sign: the covariance has its square.
        """
        d = len(self.bases)
        low, high = np.array(self.bounds()).T
        low[d:-1] = -high[d:-1]
        if np.any(vector < low) or np.any(vector > high):
            return math.inf, np.zeros_like(vector)
        value, gradient = self.objective(vector)
        return (value if value < FAILED else math.inf), gradient

    def log_evidence(self, vector: Array) -> float:
        """Return the log marginal likelihood by Laplace's approximation around the mode, up to a constant."""
        eigenvalues = np.linalg.eigvalsh(self.precision(vector))
        return -self.objective(vector)[0] - float(np.log(np.maximum(eigenvalues, LEAST_PRECISION)).sum()) / 2

    def minus_log_posterior(self, vector: Array, solution: Solution) -> float:
        """Return it for the hyperparameters, up to a constant."""
        return float(self.y @ solution.alpha / 2 + solution.half_log_det) + self.penalty(vector)[0]

    def precision(self, vector: Array) -> Array:
        """Return the Laplace precision matrix of the hyperparameters at the MAP."""
        theta, d = self.theta(vector), len(self.bases)
        matrices = self.matrices(theta)
        solution = self.solve(matrices)
        by = self.gradient(theta, matrices, solution)
        information = _information(solution.inverse, self._derivatives(theta, matrices), k=len(vector))
        curvature = self.penalty(vector)[2] + 2 * np.concatenate([np.zeros(d), by.mains, by.pairs, [by.rest, 0.0]])
        return np.asarray(information + np.diag(curvature))

    def _derivatives(self, theta: Theta, matrices: Matrices) -> Iterator[Array]:
        """Return the derivatives of the covariance by all hyperparameters, in the order of their vector."""
        axes = self._axes(matrices.covariances, slice(None))
        yield from self._length_slopes(theta, matrices, axes, slice(None))
        for t, axis in zip(theta.mains, axes, strict=True):
            yield 2 * t * axis
        for t, (i, j) in zip(theta.pairs, self.pairs, strict=True):
            yield 2 * t * axes[i] * axes[j]
        yield np.zeros_like(matrices.total) if matrices.triples is None else 2 * theta.rest * matrices.triples
        yield 2 * theta.noise_variance * np.eye(len(self.y))


def _information(inverse: Array, derivatives: Iterator[Array], *, k: int) -> Array:
    """Return ½ tr(K⁻¹ A K⁻¹ B) for all pairs of the k derivatives of K. Single precision and blocks save memory."""
    n = len(inverse)
    products = np.empty((k, n, n), dtype=np.float32)
    for i, derivative in enumerate(derivatives):
        products[i] = inverse @ derivative
    information = np.zeros((k, k))
    for rows in np.array_split(np.arange(n), max(1, n // BLOCK)):
        left = products[:, rows, :].reshape(k, -1)
        right = products[:, :, rows].transpose(0, 2, 1).reshape(k, -1)
        information += left @ right.T
    return information / 2


def model_of(axes: Sequence[Axis], unit: Array, y: Array, *, errors: Array | None = None) -> Model:
    """Return the model of trials at `unit` (n, d), positions in [0, 1], with standardised target `y` (n,) whose own
    errors have the covariance `errors` (n, n)."""
    bases = [axis.basis(unit[:, i]) for i, axis in enumerate(axes)]
    return Model(y, bases, [kernel_of(axis) for axis in axes], errors)


def mean_triple(matrices: Array, n_triples: int) -> Array:
    """Return the mean over all triples i < j < k of the products of d matrices (Newton's identities)."""
    squares = matrices * matrices
    first, second, third = matrices.sum(axis=0), squares.sum(axis=0), (squares * matrices).sum(axis=0)
    return np.asarray((first * (first * first - 3 * second) + 2 * third) / (6 * n_triples))
