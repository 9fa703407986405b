"""An additive ANOVA Gaussian process: one component a parameter, one a pair, and one for all triples together.

    y(x) = constant + Σ f_i(x_i) + Σ f_ij(x_i, x_j) + rest(x) + noise

Each f_i has the zero-mean, unit-variance kernel k_i of its axis times a variance of its own, each f_ij the product
k_i·k_j times a variance of its own, and `rest` the mean of all products of three. So components are orthogonal under
the measure, and what three parameters do together is not pushed into pairs (Durrande et al. 2013, arXiv:1106.3571;
Lu, Boukouvalas, Hensman 2022, who let all components of an order share a variance, which was measured to be worse).

Hyperparameters are found by MAP. Variances are t², and t has a normal prior about 0, so a component that the data do
not ask for vanishes. Around the MAP the posterior is taken as normal (Laplace), its precision being the expected
information plus the exact curvature of t: at t = 0 the likelihood is flat in t to first order, but not to second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack
from scipy.optimize import minimize

from studies.analysis.axis import Array, Axis
from studies.analysis.kernel import AxisKernel, kernel_of

CONSTANT_VARIANCE = 4.0  # of the standardised target's mean over the measure
JITTER = 1e-8
LENGTH = (np.log(0.5), 0.8)  # prior mean and sd of the log length scale, in units of the range
LENGTH_BOUNDS = (np.log(0.05), np.log(5.0))
AMPLITUDE_SD = (1.0, 1.0, 0.3)  # prior sd of t: mains, pairs, rest, for a target of variance 1
AMPLITUDE_BOUNDS = (0.01, 5.0)  # never exactly 0: the gradient by t is 0 there, whatever the data say
NOISE = (np.log(0.2), 1.5)  # prior mean and sd of the log noise sd
NOISE_BOUNDS = (np.log(1e-3), np.log(2.0))
START_LENGTHS = (0.3, 0.8)
BLOCK = 64  # rows of a matrix product that are held at once
START_ROWS = 250  # the starts are compared on so many trials


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
    """What a Theta makes of the data. `axes` are the kernels k_i (d, n, n), `sums` Σ_j t_ij² k_j, `covariances` C_i."""

    covariances: list[Array]
    axes: Array
    slopes: Array
    sums: Array
    triples: tuple[Array, Array, Array] | None  # e1, e2 and the mean triple product
    total: Array


@dataclass(frozen=True, slots=True)
class Solution:
    """The inverse of the covariance matrix (n, n), its product with the target, and half its log determinant."""

    inverse: Array
    alpha: Array
    half_log_det: float


@dataclass(frozen=True, slots=True)
class Model:
    """The data and the kernels: `y` (n,) standardised, `bases` the axes' basis functions at the trials, (n, M_i)."""

    y: Array
    bases: list[Array]
    kernels: list[AxisKernel]
    pairs: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        d = len(self.bases)
        object.__setattr__(self, "pairs", tuple((i, j) for i in range(d) for j in range(i + 1, d)))

    @property
    def n_triples(self) -> int:
        """How many triples of parameters there are."""
        d = len(self.bases)
        return d * (d - 1) * (d - 2) // 6

    def rows(self, chosen: np.typing.NDArray[np.intp]) -> Model:
        """The same model of some of the trials."""
        return Model(self.y[chosen], [basis[chosen] for basis in self.bases], self.kernels)

    def theta(self, vector: Array) -> Theta:
        """The hyperparameters in a flat vector: lengths, mains, pairs, rest, noise."""
        d, p = len(self.bases), len(self.pairs)
        parts = np.split(vector, [d, 2 * d, 2 * d + p, 2 * d + p + 1])
        return Theta(parts[0], parts[1], parts[2], float(parts[3][0]), float(parts[4][0]))

    def start(self, length: float) -> Array:
        """A vector to start from."""
        d, p = len(self.bases), len(self.pairs)
        return np.concatenate(
            [
                np.full(d, np.log(length)),
                np.full(d, 0.4),
                np.full(p, 0.2),
                [0.2 if self.n_triples else 0.0, np.log(0.3)],
            ]
        )

    def bounds(self) -> list[tuple[float, float]]:
        """The box in which the vector lies."""
        d, p = len(self.bases), len(self.pairs)
        rest = AMPLITUDE_BOUNDS if self.n_triples else (0.0, 0.0)
        return [LENGTH_BOUNDS] * d + [AMPLITUDE_BOUNDS] * (d + p) + [rest, NOISE_BOUNDS]

    def prior(self) -> tuple[Array, Array]:
        """Means and variances of the vector's normal prior."""
        d, p = len(self.bases), len(self.pairs)
        means = np.concatenate([np.full(d, LENGTH[0]), np.zeros(d + p + 1), [NOISE[0]]])
        sds = [[LENGTH[1]] * d, [AMPLITUDE_SD[0]] * d, [AMPLITUDE_SD[1]] * p, [AMPLITUDE_SD[2]], [NOISE[1]]]
        return means, np.concatenate(sds) ** 2

    def matrices(self, theta: Theta) -> Matrices:
        """All covariance matrices at `theta`."""
        d, n = len(self.bases), len(self.y)
        axes, slopes = np.empty((d, n, n)), np.empty((d, n, n))
        covariances = []
        for i, (basis, kernel) in enumerate(zip(self.bases, self.kernels, strict=True)):
            c, slope = kernel.covariance(theta.log_lengths[i])
            covariances.append(c)
            np.matmul(basis @ c, basis.T, out=axes[i])
            np.matmul(basis @ slope, basis.T, out=slopes[i])
        variances = np.zeros((d, d))
        for (i, j), amplitude in zip(self.pairs, theta.pairs, strict=True):
            variances[i, j] = variances[j, i] = amplitude**2
        sums = (variances @ axes.reshape(d, -1)).reshape(d, n, n)
        total = np.full((n, n), CONSTANT_VARIANCE)
        for i in range(d):
            total += axes[i] * (sums[i] / 2 + theta.mains[i] ** 2)
        triples = None
        if self.n_triples:
            triples = _mean_triple(axes, self.n_triples)
            total += theta.rest**2 * triples[2]
        total[np.diag_indices(n)] += theta.noise_variance + JITTER
        return Matrices(covariances, axes, slopes, sums, triples, total)

    def solve(self, matrices: Matrices) -> Solution:
        """Invert the covariance. Raises LinAlgError where it is not positive definite."""
        lower = cholesky(matrices.total, lower=True, check_finite=False)
        inverse, info = lapack.dpotri(lower, lower=1)
        if info:
            raise LinAlgError(f"dpotri returned {info}")
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        return Solution(inverse, inverse @ self.y, float(np.log(np.diag(lower)).sum()))

    def slopes(self, theta: Theta, matrices: Matrices, i: int) -> Array:
        """The derivative of the covariance by log length i."""
        inner = matrices.sums[i] + theta.mains[i] ** 2
        if matrices.triples is not None:
            e1, e2, _ = matrices.triples
            k = matrices.axes[i]
            inner = inner + theta.rest**2 / self.n_triples * (e2 - k * e1 + k * k)
        return np.asarray(inner * matrices.slopes[i])

    def variance_gradient(self, matrices: Matrices, weight: Array) -> tuple[Array, Array, float]:
        """Σ weight ∘ ∂K/∂(variance) for mains (d), pairs (p) and rest."""
        d = len(self.bases)
        flat = matrices.axes.reshape(d, -1)
        mains = flat @ weight.ravel()
        products = np.array([flat @ (weight * matrices.axes[i]).ravel() for i in range(d)])
        rest = 0.0 if matrices.triples is None else float(np.vdot(weight, matrices.triples[2]))
        return mains, np.array([products[i, j] for i, j in self.pairs]), rest

    def objective(self, vector: Array) -> tuple[float, Array]:
        """Minus the log posterior (up to a constant) and its gradient."""
        theta = self.theta(vector)
        matrices = self.matrices(theta)
        try:
            solution = self.solve(matrices)
        except LinAlgError:
            return 1e10, np.zeros_like(vector)
        weight = (solution.inverse - np.outer(solution.alpha, solution.alpha)) / 2
        mains, pairs, rest = self.variance_gradient(matrices, weight)
        lengths = [np.vdot(weight, self.slopes(theta, matrices, i)) for i in range(len(self.bases))]
        noise = 2 * theta.noise_variance * np.trace(weight)
        gradient = np.concatenate(
            [lengths, 2 * theta.mains * mains, 2 * theta.pairs * pairs, [2 * theta.rest * rest, noise]]
        )
        means, variances = self.prior()
        deviation = vector - means
        value = self.y @ solution.alpha / 2 + solution.half_log_det + np.sum(deviation**2 / variances) / 2
        return float(value), gradient + deviation / variances

    def _derivatives(self, theta: Theta, matrices: Matrices) -> Iterator[Array]:
        """The derivatives of the covariance by all hyperparameters, in the order of their vector."""
        for i in range(len(self.bases)):
            yield self.slopes(theta, matrices, i)
        for t, axis in zip(theta.mains, matrices.axes, strict=True):
            yield 2 * t * axis
        for t, (i, j) in zip(theta.pairs, self.pairs, strict=True):
            yield 2 * t * matrices.axes[i] * matrices.axes[j]
        none = np.zeros_like(matrices.total)
        yield none if matrices.triples is None else 2 * theta.rest * matrices.triples[2]
        yield 2 * theta.noise_variance * np.eye(len(self.y))

    def precision(self, vector: Array) -> Array:
        """The Laplace precision matrix of the hyperparameters at the MAP."""
        theta, d = self.theta(vector), len(self.bases)
        matrices = self.matrices(theta)
        solution = self.solve(matrices)
        weight = (solution.inverse - np.outer(solution.alpha, solution.alpha)) / 2
        information = _information(solution.inverse, self._derivatives(theta, matrices))
        mains, pairs, rest = self.variance_gradient(matrices, weight)
        _, variances = self.prior()
        curvature = 1 / variances + 2 * np.concatenate([np.zeros(d), mains, pairs, [rest, 0.0]])
        return np.asarray(information + np.diag(np.maximum(curvature, 1e-6)))


def _information(inverse: Array, derivatives: Iterator[Array]) -> Array:
    """½ tr(K⁻¹ A K⁻¹ B) for all pairs of derivatives A, B of K; single precision and blocks keep the memory small."""
    products = np.array([(inverse @ derivative).astype(np.float32) for derivative in derivatives])
    k, n = products.shape[:2]
    information = np.zeros((k, k))
    for rows in np.array_split(np.arange(n), max(1, n // BLOCK)):
        left = products[:, rows, :].reshape(k, -1)
        right = products[:, :, rows].transpose(0, 2, 1).reshape(k, -1)
        information += left @ right.T
    return information / 2


def fit(model: Model) -> Array:
    """The MAP vector of hyperparameters. The starts are compared on up to 250 evenly spread trials."""
    n = len(model.y)
    some = model.rows(np.unique(np.linspace(0, n - 1, min(n, START_ROWS)).round().astype(np.intp)))
    found = [_descend(some, some.start(length)) for length in START_LENGTHS]
    best = min(found, key=lambda pair: pair[0])[1]
    return best if len(some.y) == n else _descend(model, best)[1]


def model_of(axes: Sequence[Axis], unit: Array, y: Array) -> Model:
    """The model of trials at `unit` (n, d), positions in [0, 1] on the axes, with standardised target `y` (n,)."""
    return Model(y, [axis.basis(unit[:, i]) for i, axis in enumerate(axes)], [kernel_of(axis) for axis in axes])


def mean_triple(matrices: Array, n_triples: int) -> Array:
    """The mean over all triples i < j < k of the elementwise products of (d, n, n) matrices (Newton's identities)."""
    return _mean_triple(matrices, n_triples)[2]


def _mean_triple(matrices: Array, n_triples: int) -> tuple[Array, Array, Array]:
    first = matrices.sum(axis=0)
    squares = matrices * matrices
    second = squares.sum(axis=0)
    third = (squares * matrices).sum(axis=0)
    e3 = (first * (first * first - 3 * second) + 2 * third) / 6
    return first, (first * first - second) / 2, e3 / n_triples


def _descend(model: Model, start: Array) -> tuple[float, Array]:
    options = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-4}
    found = minimize(model.objective, start, jac=True, method="L-BFGS-B", bounds=model.bounds(), options=options)
    return float(found.fun), np.asarray(found.x)
