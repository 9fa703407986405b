"""The posterior of the Gaussian process: variances of its components, functions drawn from it, and its predictions.

A component's variance under the parameters' measure is that of its posterior mean, in closed form: t⁴ αᵀGα. On one axis
G_i = b C² bᵀ, and for several the elementwise product of these. Whole functions are drawn by Matheron's rule: a draw
from the prior, corrected by its difference from the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, eigh
from scipy.stats import chi2

from studies.analysis.axis import Array
from studies.analysis.gaussian_process import (
    AMPLITUDE_BOUNDS,
    CONSTANT_VARIANCE,
    JITTER,
    LENGTH_BOUNDS,
    NOISE_BOUNDS,
    Matrices,
    Model,
    Solution,
    Theta,
    mean_triple,
)

MAX_HALVINGS = 6
LEAST_PRECISION = 0.1  # of a direction in the hyperparameters: their priors alone know more
NEGLIGIBLE = 1e-7  # eigenvalues below this share of an axis's largest are left out of the draws


@dataclass(frozen=True, slots=True)
class Variances:
    """Of the standardised target: mains (d,), pairs (p,), rest, and noise."""

    mains: Array
    pairs: Array
    rest: float
    noise: float

    @property
    def function(self) -> float:
        """The variance of the noise-free function."""
        return float(self.mains.sum() + self.pairs.sum() + self.rest)


@dataclass(frozen=True, slots=True)
class Draw:
    """One function of the posterior.

    mains: coefficients on the axes' bases, (M_i,)
    pairs: coefficients on their products, (M_i, M_j)
    rest: the expected variance of the triples, which are not drawn
    """

    constant: float
    mains: list[Array]
    pairs: list[Array]
    rest: float
    noise: float

    @property
    def variances(self) -> Variances:
        """The variances of its components."""
        mains = np.array([main @ main for main in self.mains])
        pairs = np.array([np.vdot(pair, pair) for pair in self.pairs])
        return Variances(mains, pairs, self.rest, self.noise)


@dataclass(frozen=True, slots=True)
class Posterior:
    """The posterior of the functions at one setting of the hyperparameters."""

    model: Model
    theta: Theta
    matrices: Matrices
    solution: Solution

    def variances(self) -> Variances:
        """Return the variances of the components of the posterior mean."""
        theta, alpha = self.theta, self.solution.alpha
        overlaps = self._overlaps()
        mains = np.array([t**4 * (alpha @ g @ alpha) for t, g in zip(theta.mains, overlaps, strict=True)])
        pairs = np.array(
            [
                t**4 * (alpha @ (overlaps[i] * overlaps[j]) @ alpha)
                for t, (i, j) in zip(theta.pairs, self.model.pairs, strict=True)
            ]
        )
        rest = 0.0
        if self.model.n_triples:
            g = mean_triple(overlaps, self.model.n_triples) / self.model.n_triples
            rest = float(theta.rest**4 * (alpha @ g @ alpha))
        return Variances(mains, pairs, rest, theta.noise_variance)

    def mean(self) -> Draw:
        """Return the posterior mean as a function."""
        theta, alpha, bases = self.theta, self.solution.alpha, self.model.bases
        projected = [basis @ c for basis, c in zip(bases, self.matrices.covariances, strict=True)]
        mains = [t**2 * (projected[i].T @ alpha) for i, t in enumerate(theta.mains)]
        pairs = [
            t**2 * ((projected[i] * alpha[:, None]).T @ projected[j])
            for t, (i, j) in zip(theta.pairs, self.model.pairs, strict=True)
        ]
        return Draw(CONSTANT_VARIANCE * float(alpha.sum()), mains, pairs, self.variances().rest, theta.noise_variance)

    def fitted(self) -> tuple[Array, float]:
        """Return constant, mains and pairs at the trials (n,), and the effective number of parameters behind them."""
        components = self._components()
        return components @ self.solution.alpha, float(np.vdot(components, self.solution.inverse))

    def left_out(self, points: np.typing.NDArray[np.intp]) -> Array:
        """Predict constant, mains and pairs at each trial from all trials at other points: (n,).

        `points` (n,) numbers the distinct points, so that replicates of a point do not predict each other. In closed
        form: without block b, alpha changes by K⁻¹[:, b] (K⁻¹[b, b])⁻¹ alpha[b].
        """
        components = self._components()
        inverse, alpha = self.solution.inverse, self.solution.alpha
        predicted = components @ alpha
        for point in np.unique(points):
            block = np.flatnonzero(points == point)
            change = np.linalg.solve(inverse[np.ix_(block, block)], alpha[block])
            predicted[block] -= components[block] @ (inverse[:, block] @ change)
        return np.asarray(predicted)

    def draws(self, n: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Yield `n` functions of the posterior at these hyperparameters."""
        model, theta = self.model, self.theta
        roots = [_root(c) for c in self.matrices.covariances]
        features = [basis @ root for basis, root in zip(model.bases, roots, strict=True)]
        errors = self._errors(n, rng)
        constants = np.sqrt(CONSTANT_VARIANCE) * rng.standard_normal(n)
        mains = [t * rng.standard_normal((n, f.shape[1])) for t, f in zip(theta.mains, features, strict=True)]
        pairs = [
            t * rng.standard_normal((n, features[i].shape[1], features[j].shape[1]))
            for t, (i, j) in zip(theta.pairs, model.pairs, strict=True)
        ]
        imagined = errors + constants[:, None]
        for main, f in zip(mains, features, strict=True):
            imagined += main @ f.T
        for pair, (i, j) in zip(pairs, model.pairs, strict=True):
            imagined += np.sum((features[i] @ pair) * features[j], axis=2)
        corrections = (model.y - imagined) @ self.solution.inverse
        rest = self._expected_rest()
        for k in range(n):
            v = corrections[k]
            yield Draw(
                float(constants[k] + CONSTANT_VARIANCE * v.sum()),
                [roots[i] @ (mains[i][k] + t**2 * (v @ features[i])) for i, t in enumerate(theta.mains)],
                [
                    roots[i] @ (pair[k] + t**2 * ((features[i] * v[:, None]).T @ features[j])) @ roots[j].T
                    for pair, t, (i, j) in zip(pairs, theta.pairs, model.pairs, strict=True)
                ],
                rest,
                theta.noise_variance,
            )

    def _components(self) -> Array:
        """Return the covariance of constant, mains and pairs."""
        components = self.matrices.total.copy()
        components[np.diag_indices(len(components))] -= self.theta.noise_variance + JITTER
        if self.matrices.triples is not None:
            components -= self.theta.rest**2 * self.matrices.triples
        return np.asarray(components)

    def _overlaps(self) -> Array:
        """Return ∫ k_i(x, x_n) k_i(x, x_m) dx for each axis: (d, n, n)."""
        covariances = self.matrices.covariances
        return np.array([basis @ (c @ c) @ basis.T for basis, c in zip(self.model.bases, covariances, strict=True)])

    def _expected_rest(self) -> float:
        """Return the expected variance of the triples: that of their mean plus their uncertainty."""
        if not self.model.n_triples:
            return 0.0
        g = mean_triple(self._overlaps(), self.model.n_triples) / self.model.n_triples
        t, alpha = self.theta.rest, self.solution.alpha
        uncertain = t**2 - t**4 * float(np.vdot(self.solution.inverse, g))
        return max(0.0, t**4 * float(alpha @ g @ alpha) + uncertain)

    def _errors(self, n: int, rng: np.random.Generator) -> Array:
        """Draw noise and triples together: (n, trials)."""
        spread = rng.standard_normal((n, len(self.model.y)))
        if self.matrices.triples is None:
            return np.asarray(np.sqrt(self.theta.noise_variance + JITTER) * spread)
        covariance = self.theta.rest**2 * self.matrices.triples
        covariance[np.diag_indices(len(covariance))] += self.theta.noise_variance + JITTER
        return np.asarray(spread @ cholesky(covariance, lower=True, check_finite=False).T)


def posterior_at(model: Model, vector: Array) -> Posterior:
    """Return the posterior at a vector of hyperparameters."""
    theta = model.theta(vector)
    matrices = model.matrices(theta)
    return Posterior(model, theta, matrices, model.solve(matrices))


def laplace_draws(model: Model, vector: Array, n: int, rng: np.random.Generator) -> Iterator[Posterior]:
    """Yield the posteriors at `n` hyperparameters drawn from their normal approximation around the MAP.

    A normal distribution of t reaches 0 even if the data rule that out. A draw of too low a posterior density is moved
    halfway back to the MAP until it is not: below the density of all but one in a thousand normal draws.
    """
    eigenvalues, directions = eigh(model.precision(vector))
    scales = directions / np.sqrt(np.maximum(eigenvalues, LEAST_PRECISION))
    least = model.minus_log_posterior(vector, posterior_at(model, vector).solution)
    limit = least + float(chi2.ppf(0.999, len(vector))) / 2
    for _ in range(n):
        step = scales @ rng.standard_normal(len(vector))
        for _ in range(MAX_HALVINGS):
            drawn = _within_bounds(model, vector + step)
            posterior = posterior_at(model, drawn)
            if model.minus_log_posterior(drawn, posterior.solution) <= limit:
                break
            step = step / 2
        yield posterior


def _within_bounds(model: Model, vector: Array) -> Array:
    """Mirror amplitudes at 0, and cut everything else off at its bounds."""
    d = len(model.bases)
    kept = vector.copy()
    kept[:d] = np.clip(kept[:d], *LENGTH_BOUNDS)
    kept[d:-1] = np.minimum(np.abs(kept[d:-1]), AMPLITUDE_BOUNDS[1])
    kept[-1] = np.clip(kept[-1], *NOISE_BOUNDS)
    return kept


def _root(covariance: Array) -> Array:
    """Return a matrix R with R Rᵀ = C, without its negligible columns."""
    eigenvalues, vectors = eigh(covariance)
    kept = eigenvalues > NEGLIGIBLE * eigenvalues.max()
    return np.asarray(vectors[:, kept] * np.sqrt(eigenvalues[kept]))
