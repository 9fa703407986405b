"""The chance that a configuration trains, as a function of the parameters, by a Gaussian-process classifier.

    u(x) = constant + Σ f_i(x_i) + Σ f_ij(x_i, x_j) + noise,    x trains if u(x) > 0

The functions and their priors are those of the analysis of values (gaussian_process/model.py). Expectation propagation
(Minka 2001; Rasmussen & Williams 2006, section 3.6) stands in for the unknown u of each trial: a value, with an error
of its own. At its fixed point, these have the gradient of the marginal likelihood by the hyperparameters. So both are
found in turn, and functions are then drawn as for values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr
from scipy.stats import norm

from studies.analysis.axis import Array, Axis
from studies.analysis.gaussian_process.mode import mode_of
from studies.analysis.gaussian_process.model import Model, model_of
from studies.analysis.gaussian_process.posterior import hyperparameters, posterior_at
from studies.analysis.projection import Additive, Projection
from studies.analysis.surface import Functions
from studies.analysis.training.drawn import functions_of

N_THETAS = 20  # draws of the hyperparameters
N_FUNCTIONS = 6  # draws of the function at each
N_ROUNDS = 3  # of values and hyperparameters in turn
N_SWEEPS = 30  # of expectation propagation at most
DAMPING = 0.8
CONVERGED = 1e-3
LEAST_PRECISION = 1e-4  # of a trial's own value
START_LENGTH = 0.5


@dataclass(frozen=True, slots=True)
class Classifier:
    """Functions drawn from the posterior, K in all.

    functions: u, without its noise
    shares: of the variance of the chance to train, for mains, pairs and the rest, (K, d + p + 1)
    chances: of each trial to train, from the other trials (n,)
    inside: whether a trial's point rather trains (n,), whatever the trial itself did
    confirmed: 1 − squared errors of the chances ÷ those of the mean
    stretch: the root of squared errors of the chances ÷ those that they expect
    """

    axes: tuple[Axis, ...]
    functions: Functions
    shares: Array
    chances: Array
    inside: npt.NDArray[np.bool_]
    confirmed: float
    stretch: float

    def mean(self, unit: Array) -> Array:
        """Return the posterior mean of u at `unit` (m, d): above 0 where a configuration rather trains, (m,)."""
        found = self.functions
        first = Functions(
            found.axes,
            found.constants[:1],
            tuple(main[:1] for main in found.mains),
            {pair: own[:1] for pair, own in found.pairs.items()},
        )
        return np.asarray(first(unit)[0])

    @property
    def influences(self) -> Array:
        """Of each parameter: its share alone and half of those of its pairs, (d,)."""
        d, shares = len(self.axes), self.shares.mean(axis=0)
        found = shares[:d].copy()
        for (i, j), share in zip(combinations(range(d), 2), shares[d:-1], strict=True):
            found[[i, j]] += share / 2
        return np.asarray(found)


@dataclass(frozen=True, slots=True)
class _Sites:
    """Values of u that stand for what is known of each trial, their variances, and the chances from the others."""

    values: Array
    variances: Array
    chances: Array


def classifier_of(axes: Sequence[Axis], unit: Array, trains: Array, *, seed: int) -> Classifier:
    """Fit trials at `unit` (n, d), positions in [0, 1], of which `trains` (n,) is 1, 0 or a chance."""
    model = model_of(axes, unit, np.zeros(len(unit)))
    vector = model.start(START_LENGTH)
    for _ in range(N_ROUNDS):
        sites = _sites(model, vector, trains)
        given = Model(sites.values, model.bases, model.kernels, np.diag(sites.variances))
        vector = mode_of(given, lengths=(START_LENGTH,))
    sites = _sites(model, vector, trains)
    given = Model(sites.values, model.bases, model.kernels, np.diag(sites.variances))
    rng = np.random.default_rng(seed)
    projection = Projection.of(axes)
    draws = [
        posterior_at(given, theta).draws(N_FUNCTIONS, projection.bases, rng)
        for theta in hyperparameters(given, vector, N_THETAS, rng)
    ]
    chances = np.concatenate([ndtr(draw.values[1:] / draw.noise) for draw in draws])
    additive = Additive.of(draws, slice(1, None))
    inside = posterior_at(given, vector).fitted()[0] >= 0
    errors = np.square(trains - sites.chances)
    return Classifier(
        axes=tuple(axes),
        functions=functions_of(axes, draws),
        shares=projection.components(chances, additive).shares,
        chances=sites.chances,
        inside=inside,
        confirmed=float(1 - errors.mean() / trains.var()),
        stretch=float(np.sqrt(errors.sum() / (sites.chances * (1 - sites.chances)).sum())),
    )


def _sites(model: Model, vector: Array, trains: Array) -> _Sites:
    """Return the fixed point of expectation propagation at these hyperparameters."""
    prior = model.matrices(model.theta(vector)).total
    n = len(trains)
    precisions, shifts = np.full(n, LEAST_PRECISION), np.zeros(n)
    chances = np.full(n, 0.5)
    for _ in range(N_SWEEPS):
        solved = cho_solve(cho_factor(prior + np.diag(1 / precisions), lower=True), prior)
        variance = np.diag(prior) - np.einsum("ij,ij->j", prior, solved)
        mean = (prior - prior @ solved) @ shifts
        other_variance = 1 / np.maximum(1 / variance - precisions, LEAST_PRECISION)
        other_mean = other_variance * (mean / variance - shifts)
        z = other_mean / np.sqrt(other_variance)
        evidence = trains * ndtr(z) + (1 - trains) * ndtr(-z)
        slope = (2 * trains - 1) * norm.pdf(z) / np.maximum(evidence, 1e-12)
        new_variance = other_variance * np.maximum(1 - slope * (slope + z), 1e-6)
        new_mean = other_mean + np.sqrt(other_variance) * slope
        target = np.maximum(1 / new_variance - 1 / other_variance, LEAST_PRECISION)
        change = target - precisions
        precisions = precisions + DAMPING * change
        shifts = shifts + DAMPING * (new_mean * (target + 1 / other_variance) - other_mean / other_variance - shifts)
        chances = ndtr(z)
        if np.abs(change).max() < CONVERGED * precisions.max():
            break
    return _Sites(shifts / precisions, 1 / precisions, chances)
