"""The posterior of the Gaussian process: its hyperparameters, functions drawn from it, and its predictions.

Hyperparameters are drawn by Hamiltonian Monte Carlo. A normal approximation around their mode was measured to give
intervals that are too narrow. At each draw of them, whole functions are drawn by Matheron's rule: a draw from the
prior, corrected by its difference from the data. The products of three are drawn with random features (Rahimi & Recht
2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.hamiltonian import hamiltonian
from studies.analysis.gaussian_process.model import (
    CONSTANT_VARIANCE,
    JITTER,
    Matrices,
    Model,
    Solution,
    Theta,
    mean_triple,
)

N_WARM_UP = 16
N_FEATURES = 64  # of the products of three
NEGLIGIBLE = 1e-4  # eigenvalues below this share of an axis's largest are left out of the draws
LEAST_AMPLITUDE = 0.01  # of a component that is drawn

Rows = np.typing.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Draws:
    """The posterior mean and functions drawn around it, K in all, at one setting of the hyperparameters.

    constants: (K,)
    mains: coefficients on the axes' bases, (K, M_i)
    pairs: coefficients on their products, (K, M_i, M_j)
    additive: their sum at the given points, (K, N)
    values: with products of three, (K, N)
    noise: the noise's standard deviation
    """

    constants: Array
    mains: list[Array]
    pairs: list[Array]
    additive: Array
    values: Array
    noise: float


def mean_first(values: Sequence[Array]) -> Array:
    """Return the mean of the posterior means, then all drawn ones. Each of `values` has its mean first."""
    mean = np.mean([own[0] for own in values], axis=0)
    return np.concatenate([mean[None], *(own[1:] for own in values)])


@dataclass(frozen=True, slots=True)
class Posterior:
    """The posterior of the functions at one setting of the hyperparameters."""

    model: Model
    theta: Theta
    matrices: Matrices
    solution: Solution

    def fitted(self) -> tuple[Array, Array]:
        """Return constant, mains and pairs at the trials (n,), and the leverage of each trial (n,).

        Leverages sum up to the effective number of parameters behind the fitted values.
        """
        components = self.components()
        return components @ self.solution.alpha, (components * self.solution.inverse).sum(axis=1)

    def draws(self, n: int, far: list[Array], rng: np.random.Generator) -> Draws:
        """Return the mean and `n` drawn functions, with their values where the axes' bases are `far` (N, M_i)."""
        model, theta = self.model, self.theta
        roots = [_root(c) for c in self.matrices.covariances]
        near = [basis @ root for basis, root in zip(model.bases, roots, strict=True)]
        there = [basis @ root for basis, root in zip(far, roots, strict=True)]
        constants = np.sqrt(CONSTANT_VARIANCE) * _after_zero(rng, n, ())
        mains = [t * _after_zero(rng, n, (f.shape[1],)) for t, f in zip(theta.mains, near, strict=True)]
        pairs = [
            t * _after_zero(rng, n, (near[i].shape[1], near[j].shape[1]))
            for t, (i, j) in zip(theta.pairs, model.pairs, strict=True)
        ]
        imagined = self._errors(n, rng) + _values(constants, mains, pairs, near, drawn=self._drawn())
        rest = _Triples.of(self, roots, far, n, rng) if self._has_rest() else None
        if rest is not None:
            imagined += rest.near
        v = (model.y - imagined) @ self.solution.inverse
        constants = constants + CONSTANT_VARIANCE * v.sum(axis=1)
        mains = [main + t**2 * (v @ f) for main, t, f in zip(mains, theta.mains, near, strict=True)]
        for k in self._drawn():
            i, j = model.pairs[k]
            products = (near[i][:, :, None] * near[j][:, None, :]).reshape(len(model.y), -1)
            pairs[k] = pairs[k] + theta.pairs[k] ** 2 * (v @ products).reshape(pairs[k].shape)
        additive = _values(constants, mains, pairs, there, drawn=self._drawn())
        values = additive
        if rest is not None:
            values = additive + rest.far + theta.rest**2 * (v @ self._triples(far).T)
        return Draws(
            constants,
            [main @ root.T for main, root in zip(mains, roots, strict=True)],
            [roots[i] @ pair @ roots[j].T for pair, (i, j) in zip(pairs, model.pairs, strict=True)],
            additive,
            values,
            float(np.sqrt(theta.noise_variance)),
        )

    def _drawn(self) -> list[int]:
        """Return the pairs that are more than negligible."""
        return [k for k, t in enumerate(self.theta.pairs) if abs(t) >= LEAST_AMPLITUDE]

    def _has_rest(self) -> bool:
        return self.matrices.triples is not None and abs(self.theta.rest) >= LEAST_AMPLITUDE

    def components(self) -> Array:
        """Return the covariance of constant, mains and pairs."""
        components = self.matrices.total.copy()
        components[np.diag_indices(len(components))] -= self.theta.noise_variance + JITTER
        if self.model.errors is not None:
            components -= self.model.errors
        if self.matrices.triples is not None:
            components -= self.theta.rest**2 * self.matrices.triples
        return np.asarray(components)

    def _triples(self, far: list[Array]) -> Array:
        """Return the mean product of three kernels between other points and the trials: (N, n)."""
        bases, covariances = self.model.bases, self.matrices.covariances
        axes = np.array([b @ c @ basis.T for b, c, basis in zip(far, covariances, bases, strict=True)])
        return mean_triple(axes, self.model.n_triples)

    def _errors(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the noise and the values' own errors, zero for the mean: (1 + n, trials)."""
        spread, errors = _after_zero(rng, n, (len(self.model.y),)), self.model.errors
        if errors is None:
            return np.asarray(np.sqrt(self.theta.noise_variance + JITTER) * spread)
        covariance = errors + (self.theta.noise_variance + JITTER) * np.eye(len(errors))
        return np.asarray(spread @ cholesky(covariance, lower=True, check_finite=False).T)


@dataclass(frozen=True, slots=True)
class _Triples:
    """Drawn functions of three parameters: at the trials (1 + n, trials), and at other points (1 + n, N)."""

    near: Array
    far: Array

    @classmethod
    def of(
        cls, posterior: Posterior, roots: list[Array], far: list[Array], n: int, rng: np.random.Generator
    ) -> _Triples:
        bases = posterior.model.bases
        every = np.array(list(combinations(range(len(bases)), 3)))
        chosen = every[rng.integers(len(every), size=N_FEATURES)]
        here, there = np.ones((len(bases[0]), N_FEATURES)), np.ones((len(far[0]), N_FEATURES))
        for i, root in enumerate(roots):
            own = np.flatnonzero((chosen == i).any(axis=1))
            paths = root @ rng.standard_normal((root.shape[1], len(own)))
            here[:, own] *= bases[i] @ paths
            there[:, own] *= far[i] @ paths
        weights = posterior.theta.rest / np.sqrt(N_FEATURES) * _after_zero(rng, n, (N_FEATURES,))
        return cls(weights @ here.T, weights @ there.T)


def posterior_at(model: Model, vector: Array) -> Posterior:
    """Return the posterior at a vector of hyperparameters."""
    theta = model.theta(vector)
    matrices = model.matrices(theta)
    return Posterior(model, theta, matrices, model.solve(matrices))


def hyperparameters(model: Model, mode: Array, n: int, rng: np.random.Generator) -> list[Array]:
    """Return `n` vectors of hyperparameters drawn from their posterior, of which `mode` is the mode."""
    return hamiltonian(model.potential, mode, model.precision(mode), n=n, n_warm_up=N_WARM_UP, rng=rng)


def predicted(model: Model, vector: Array, out: Rows, kept: Rows) -> tuple[Array, Array]:
    """Predict the values of the trials `out` from the trials `kept`: mean and variance, noise and errors included."""
    total = model.matrices(model.theta(vector)).total
    lower = cholesky(total[np.ix_(kept, kept)], lower=True, check_finite=False)
    across = total[np.ix_(kept, out)]
    if model.errors is not None:
        across = across - model.errors[np.ix_(kept, out)]
    weights = solve_triangular(lower, across, lower=True)
    mean = weights.T @ solve_triangular(lower, model.y[kept], lower=True)
    return np.asarray(mean), np.asarray(total[out, out] - (weights**2).sum(axis=0))


def _after_zero(rng: np.random.Generator, n: int, shape: tuple[int, ...]) -> Array:
    """Return zeros, for the mean, and then `n` standard normal draws: (1 + n, …)."""
    return np.concatenate([np.zeros((1, *shape)), rng.standard_normal((n, *shape))])


def _values(constants: Array, mains: list[Array], pairs: list[Array], at: list[Array], *, drawn: list[int]) -> Array:
    """Return the functions' values where the axes' features are `at` (N, r_i): (K, N)."""
    values = np.repeat(constants[:, None], len(at[0]), axis=1)
    for main, features in zip(mains, at, strict=True):
        values += main @ features.T
    order = list(combinations(range(len(at)), 2))
    for k in drawn:
        i, j = order[k]
        values += np.sum((at[i] @ pairs[k]) * at[j], axis=2)
    return values


def _root(covariance: Array) -> Array:
    """Return a matrix R with R Rᵀ = C, without its negligible columns."""
    eigenvalues, vectors = eigh(covariance)
    kept = eigenvalues > NEGLIGIBLE * eigenvalues.max()
    return np.asarray(vectors[:, kept] * np.sqrt(eigenvalues[kept]))
