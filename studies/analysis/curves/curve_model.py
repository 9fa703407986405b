"""A Gaussian process of learning curves: values of many trials at steps of their trainings.

A curve has three parts. One is shared by all trials, one is smooth in the parameters, and one is the trial's own. Each
part is a level, a line and a Wiener process in time, and variances say how much of each there is. So a slow learner
keeps its own slope, as far as the others teach that slopes are kept. Level and slope are correlated: what begins far
off may come nearer faster. Values have independent noise on top.

A pruner stops a trial because of the values that it has reported. The likelihood of all reports is then free of bias
(missing at random, Rubin 1976). The steps are a dimension of the model, as in Swersky et al. 2014 (arXiv:1406.3896).
Variances are t² with a Cauchy prior of t, as in gaussian_process/model.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, eigh, lapack, solve_triangular
from scipy.optimize import minimize

from studies.analysis.axis import Array, Axis

Integers = np.typing.NDArray[np.intp]

N_AMPLITUDES = 9  # of level, line and Wiener process: smooth, own, shared
LENGTH = (np.log(0.5), 1.0)  # prior mean and sd of a parameter's log length scale, in units of the range
LENGTH_BOUNDS = (np.log(0.1), np.log(10.0))
SMOOTH_SCALES = OWN_SCALES = (0.5, 0.5, 0.3)  # of the Cauchy priors of the amplitudes
SHARED_SCALES = (1.0, 1.0, 0.3)
AMPLITUDE_BOUNDS = (3e-3, 5.0)
MOST_CORRELATED = 0.95
CORRELATION_SD = 0.3  # of the normal prior
NOISE = (np.log(0.2), 1.0)  # prior mean and sd of the log noise sd
NOISE_BOUNDS = (np.log(1e-2), np.log(2.0))
START = (0.5, 0.5, 0.2, 0.3, 0.3, 0.1, 0.5, 0.5, 0.2)  # amplitudes
JITTER = 1e-8
LEAST_LEFT, MOST_LEFT = 1e-9, 0.9  # of the variance of an end by other ends, after the curves are seen
FAILED = 1e10  # minus the log posterior where the covariance cannot be inverted
MODE = {"maxiter": 60, "ftol": 1e-5}


@dataclass(frozen=True, slots=True)
class Variances:
    """How much there is of each course of time, in what is smooth, own and shared: (4,) each."""

    smooth: Array
    own: Array
    shared: Array


@dataclass(frozen=True, slots=True)
class CurveModel:
    """The values of trials at times.

    distances: of the trials along each axis (d, n, n), squared
    trial: of each value (N,), ascending
    time: of each value (N,), from 0 to 1
    y: the values (N,), standardised
    """

    distances: Array
    trial: Integers
    time: Array
    y: Array

    def mode(self, start: Array | None = None) -> tuple[Array, float]:
        """Return the hyperparameters of the highest posterior density, and its logarithm up to a constant."""
        d = len(self.distances)
        if start is None:
            start = np.concatenate([np.full(d, LENGTH[0]), START, [0.0, 0.0, NOISE[0]]])
        bounds = [LENGTH_BOUNDS] * d + [AMPLITUDE_BOUNDS] * N_AMPLITUDES
        bounds += [(-MOST_CORRELATED, MOST_CORRELATED)] * 2 + [NOISE_BOUNDS]
        objective = MinusLogPosterior(self)
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=MODE)
        return np.asarray(found.x), -float(found.fun)

    def ends(self, vector: Array, trials: Integers) -> Ends:
        """Return what is known of the values of some trials at time 1, with their noise."""
        others = self._ends(vector, trials, np.flatnonzero(self.time == 1))
        return Ends(*self._ends(vector, trials, np.arange(len(self.y))), *others)

    def _ends(self, vector: Array, trials: Integers, rows: Integers) -> tuple[Array, Array]:
        """Return the mean and the covariance of the trials' values at time 1, from the values in `rows`."""
        noise = np.exp(2 * vector[-1]) + JITTER
        values, ends = (self.trial[rows], self.time[rows]), (trials, np.ones(len(trials)))
        seen = self.covariance(vector, values, values)
        seen[np.diag_indices(len(seen))] += noise
        lower = cholesky(seen, lower=True, check_finite=False)
        across = self.covariance(vector, values, ends)
        half = solve_triangular(lower, across, lower=True)
        left = self.covariance(vector, ends, ends) - half.T @ half
        left[np.diag_indices(len(left))] += noise
        return np.asarray(across.T @ cho_solve((lower, True), self.y[rows])), left

    def covariance(self, vector: Array, first: tuple[Integers, Array], second: tuple[Integers, Array]) -> Array:
        """Return the covariance between the curves at two kinds of (trial, time), without noise."""
        variances = self.variances(vector)
        rows, columns = np.ix_(first[0], second[0])
        near, same = self.nearness(vector)[rows, columns], rows == columns
        weights = zip(variances.smooth, variances.own, variances.shared, strict=True)
        courses = zip(weights, _courses(first[1], second[1]), strict=True)
        return np.asarray(
            sum(course * (shared + smooth * near + own * same) for (smooth, own, shared), course in courses)
        )

    def nearness(self, vector: Array) -> Array:
        """Return how alike trials are by their parameters: (n, n), 1 at the same point."""
        lengths = np.exp(vector[: len(self.distances)])
        return np.asarray(np.exp(-np.einsum("dij,d->ij", self.distances, lengths**-2) / 2))

    def variances(self, vector: Array) -> Variances:
        """Return the variances at a vector of hyperparameters."""
        smooth, own, shared = np.split(vector[len(self.distances) : -3], 3)
        together = vector[-3:-1] * (smooth[0] * smooth[1], own[0] * own[1])
        return Variances(
            *(np.append(t**2, both) for t, both in zip((smooth, own, shared), (*together, 0.0), strict=True))
        )


@dataclass(frozen=True, slots=True)
class Ends:
    """What is known of m values.

    mean, covariance: by all values of all curves (m), (m, m)
    mean_by_ends, covariance_by_ends: by the ends of other trials alone
    """

    mean: Array
    covariance: Array
    mean_by_ends: Array
    covariance_by_ends: Array

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws of the values: (n, m)."""
        lower = cholesky(self.covariance, lower=True)
        return np.asarray(self.mean + rng.standard_normal((n, len(self.mean))) @ lower.T)

    def told(self) -> tuple[Array, Array]:
        """Return the values as the curves tell them, and the covariance of their errors.

        Together with what the other ends tell, they give the mean and the covariance by all values: precisions add.
        """
        lower = cholesky(self.covariance_by_ends, lower=True)
        half = solve_triangular(lower, self.covariance, lower=True)
        left, vectors = eigh(solve_triangular(lower, half.T, lower=True))  # variance that is left of each direction
        left = np.clip(left, LEAST_LEFT, MOST_LEFT)
        by_all, by_ends = (
            vectors.T @ solve_triangular(lower, mean, lower=True) for mean in (self.mean, self.mean_by_ends)
        )
        back = lower @ vectors
        return back @ ((by_all - left * by_ends) / (1 - left)), (back * (left / (1 - left))) @ back.T


class MinusLogPosterior:
    """Minus the log posterior of the hyperparameters, with its gradient."""

    def __init__(self, model: CurveModel) -> None:
        self.model = model
        self.times = np.array([course.ravel() for course in _courses(model.time, model.time)])
        self.own = np.flatnonzero(model.trial[:, None] == model.trial[None, :])  # pairs of values of one trial
        self.own_times = self.times[:, self.own]
        self.owners, self.starts = np.unique(model.trial, return_index=True)
        self.scales = np.array([*SMOOTH_SCALES, *OWN_SCALES, *SHARED_SCALES])

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Return it at a vector of hyperparameters."""
        model, d, n = self.model, len(self.model.distances), len(self.model.y)
        variances, noise = model.variances(vector), np.exp(2 * vector[-1])
        near = model.nearness(vector)[np.ix_(model.trial, model.trial)].ravel()
        smooth = (variances.smooth @ self.times) * near
        total = smooth + variances.shared @ self.times
        total[self.own] += variances.own @ self.own_times
        total[:: n + 1] += noise + JITTER
        try:
            lower = cholesky(total.reshape(n, n), lower=True, check_finite=False)
        except LinAlgError:
            return FAILED, np.zeros_like(vector)
        inverse = lapack.dpotri(lower, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ model.y
        weight = ((inverse - np.outer(alpha, alpha)) / 2).ravel()
        weighted = (weight * smooth).reshape(n, n)
        by_trial = np.add.reduceat(np.add.reduceat(weighted, self.starts, axis=0), self.starts, axis=1)
        rows, columns = np.ix_(self.owners, self.owners)
        distances = model.distances[:, rows, columns]
        lengths = np.tensordot(distances, by_trial, 2) * np.exp(-2 * vector[:d])
        parts = self.times @ (weight * near), self.own_times @ weight[self.own], self.times @ weight
        amplitudes, correlations = _by_amplitudes(vector[d:-1], *parts)
        by_noise = 2 * noise * weight[:: n + 1].sum()
        gradient = np.concatenate([lengths, amplitudes, correlations, [by_noise]])
        value = float(model.y @ alpha / 2 + np.log(np.diag(lower)).sum())
        prior, slope = self._penalty(vector)
        return value + prior, gradient + slope

    def _penalty(self, vector: Array) -> tuple[float, Array]:
        """Return minus the log prior, and its gradient."""
        d = len(self.model.distances)
        lengths, noise = (vector[:d] - LENGTH[0]) / LENGTH[1], (vector[-1] - NOISE[0]) / NOISE[1]
        t = vector[d:-3] / self.scales
        together = vector[-3:-1] / CORRELATION_SD
        value = float((lengths**2).sum() / 2 + np.log1p(t**2).sum() + (together**2).sum() / 2 + noise**2 / 2)
        slopes = 2 * t / (1 + t**2) / self.scales
        return value, np.concatenate([lengths / LENGTH[1], slopes, together / CORRELATION_SD, [noise / NOISE[1]]])


def _by_amplitudes(vector: Array, *by_variances: Array) -> tuple[Array, Array]:
    """Return the derivatives by the nine amplitudes and the two correlations in `vector`, from those by the variances
    of what is smooth, own and shared."""
    amplitudes = vector[:N_AMPLITUDES].reshape(3, 3)
    correlations = np.append(vector[N_AMPLITUDES:], 0.0)
    found = 2 * amplitudes * np.array(by_variances)[:, :3]
    together = np.array(by_variances)[:, 3]
    found[:, :2] += (correlations * together)[:, None] * amplitudes[:, 1::-1]
    return found.ravel(), (together * amplitudes[:, 0] * amplitudes[:, 1])[:2]


def curve_model(axes: Sequence[Axis], unit: Array, times: Array, z: Array) -> CurveModel:
    """Return the model of curves `z` (n, k) at `times` (k,) from 0 to 1, NaN where there is no value.

    `unit` (n, d) are positions in [0, 1], NaN where a parameter was not active.
    """
    trial, step = np.nonzero(~np.isnan(z))
    distances = [_squared(axis, unit[:, i]) for i, axis in enumerate(axes)]
    n = len(z)
    return CurveModel(np.array(distances).reshape(-1, n, n), trial, times[step], z[trial, step])


def _courses(first: Array, second: Array) -> tuple[Array, Array, Array, Array]:
    """Return the covariance of a level, a line, a Wiener process, and of level with line, between times."""
    both = np.add.outer(first, second)
    return np.ones_like(both), np.multiply.outer(first, second), np.minimum.outer(first, second), both


def _squared(axis: Axis, unit: Array) -> Array:
    """Return the squared distances along an axis: 1 between choices, and to where the parameter was not active."""
    active = ~np.isnan(unit)
    squared = (unit[:, None] - unit[None, :]) ** 2
    if axis.kind == "categorical":
        squared = (squared > 0).astype(float)
    squared = np.where(active[:, None] & active[None, :], squared, 1.0)
    squared[np.ix_(~active, ~active)] = 0.0
    return np.asarray(squared)
