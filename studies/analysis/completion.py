"""The last values of pruned trials, predicted from their curves.

A pruner stops a trial because of the values that it has reported, so a regression of the next value on those is not
biased by pruning (missing at random, Rubin 1976). It is fitted from rung to rung, over all trials that reached the next
one. The change depends on the value itself and on the parameters. Bayesian least squares shrinks each kind of
coefficient as the data ask (MacKay 1992). Curves are continued many times, with coefficients and noise drawn anew. The
mean of the ends stands for the last value, and their covariance for what is not known of it.

Measured on 30 pruned searches: analysed at the last rung that nine in ten had reached, the intervals covered .82 of the
final indices. With completed curves they cover .97, and the error is no larger.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError, cholesky

from studies.analysis.axis import Array, Axis
from studies.analysis.response import Response, responses

N_DRAWS = 300
MAX_DEGREE = 2  # of the parameters' polynomials
DAMPING = 0.5  # of the parameters' columns beside the value's
N_ROUNDS = 40  # of the search for the amounts of shrinkage
KINDS = 6  # of coefficients: constant, slope and curvature of one rung, slope and curvature of all, parameters
POOLED = 5  # residuals of other rungs that count for a rung's own noise
FREE = -1  # the kind of the common constant, which is not shrunk
ROUNDING = 1e-9

Integers = np.typing.NDArray[np.intp]


def completed(curves: Array, axes: Sequence[Axis], unit: Array, *, seed: int) -> Array:
    """Return draws of the last value of each trial: (300, n), all the same where it is known.

    `curves` is (n, rungs) with NaN after a trial was pruned, and `unit` (n, d) the positions in [0, 1], NaN where a
    parameter was not active.
    """
    columns = _columns(axes, unit)
    seen = curves[~np.isnan(curves)]
    known = ~np.isnan(curves)
    found = []
    for response in responses(seen):
        scaled = np.full(curves.shape, np.nan)
        scaled[known] = response.forward(seen)
        steps = _Steps(scaled, columns)
        found.append((steps.log_likelihood + response.log_jacobian(seen), response, steps))
    _, response, steps = max(found, key=lambda own: own[0])
    return _ends(steps, response, curves, np.random.default_rng(seed))


def _columns(axes: Sequence[Axis], unit: Array) -> Array:
    """Return low polynomials of the parameters, zero where inactive: (n, q)."""
    found = [np.zeros((len(unit), 0))]
    for i, axis in enumerate(axes):
        active = ~np.isnan(unit[:, i])
        values = np.zeros((len(unit), int(np.sum(np.array(axis.degrees()) <= MAX_DEGREE))))
        values[active] = axis.basis(unit[active, i])[:, np.array(axis.degrees()) <= MAX_DEGREE]
        found.append(DAMPING * values)
    return np.concatenate(found, axis=1)


class _Steps:
    """The regression of each rung's change on the value before it and on the parameters."""

    def __init__(self, curves: Array, columns: Array) -> None:
        self.curves, self.columns = curves, columns
        self.last = np.array([np.flatnonzero(~np.isnan(curve))[-1] for curve in curves])
        self.rungs = range(int(self.last.min()), curves.shape[1] - 1)
        self.scales = {r: _scale(curves[:, r], curves[:, r + 1]) for r in self.rungs}
        self.kinds = np.concatenate([np.tile([0, 1, 2], len(self.rungs)), [FREE, 3, 4], np.full(columns.shape[1], 5)])
        design, changes, rung_of = [], [], []
        for r in self.rungs:
            both = np.flatnonzero(~np.isnan(curves[:, r]) & ~np.isnan(curves[:, r + 1]))
            design.append(self.design(r, curves[both, r], columns[both]))
            changes.append((curves[both, r + 1] - curves[both, r]) / self.scales[r])
            rung_of.append(np.full(len(both), r))
        x, y, rung = np.concatenate(design), np.concatenate(changes), np.concatenate(rung_of)
        self.mean, self.covariance, noise = _shrunk(x, self.kinds, y)
        residual = y - x @ self.mean
        self.noises = {r: _noise(residual[rung == r], noise) for r in self.rungs}
        weights = np.array([self.noises[r] for r in rung]) / np.sqrt(noise)
        self.mean, self.covariance, _ = _shrunk(x / weights[:, None], self.kinds, y / weights)
        spreads = np.array([self.noises[r] * self.scales[r] for r in rung])
        self.log_likelihood = -float(np.log(spreads).sum())

    def design(self, rung: int, values: Array, columns: Array) -> Array:
        """Return the regressors of the change after a rung: (…, p) for values (…)."""
        own = self.curves[:, rung]
        low, high = np.nanmin(own), np.nanmax(own)
        mean, sd = np.nanmean(own), np.nanstd(own) + ROUNDING
        z, inside = (
            (values - mean) / sd,
            (np.clip(values, low, high) - mean) / sd,
        )  # a line goes on, a parabola does not
        of_value = np.stack([np.ones_like(z), z, (inside**2 - 1) / np.sqrt(2.0)], axis=-1)
        k = 3 * self.rungs.index(rung)
        design = np.zeros((*z.shape, len(self.kinds)))
        design[..., k : k + 3] = of_value
        design[..., 3 * len(self.rungs) : 3 * len(self.rungs) + 3] = of_value
        design[..., 3 * len(self.rungs) + 3 :] = columns
        return design


def _noise(residual: Array, pooled: float) -> float:
    """Return the standard deviation of a rung's residuals, drawn towards that of all rungs."""
    return float(np.sqrt((np.square(residual).sum() + POOLED * pooled) / (len(residual) + POOLED)))


def _scale(before: Array, after: Array) -> float:
    return float(np.sqrt(np.nanmean(np.square(after - before)))) + ROUNDING


def _shrunk(design: Array, kinds: Integers, y: Array) -> tuple[Array, Array, float]:
    """Return the coefficients' mean and covariance, each kind with a variance of its own, and the noise's variance."""
    precisions, noise = np.ones(KINDS), max(float(y.var()) / 2, ROUNDING)
    mean, covariance = np.zeros(len(kinds)), np.eye(len(kinds))
    for _ in range(N_ROUNDS):
        prior = np.where(kinds == FREE, 1e-4, precisions[np.maximum(kinds, 0)])
        covariance = np.linalg.inv(design.T @ design / noise + np.diag(prior))
        mean = covariance @ (design.T @ y) / noise
        determined = 1 - prior * np.diag(covariance)
        for kind in range(KINDS):
            own = kinds == kind
            if own.any():
                precisions[kind] = (determined[own].sum() + 0.1) / (mean[own] @ mean[own] + 1e-3)
        squares = float(np.square(y - design @ mean).sum())
        noise = max((squares + 1e-3 * len(y) * float(y.var())) / max(1.0, len(y) - determined.sum()), ROUNDING)
    return mean, covariance, noise


def _ends(steps: _Steps, response: Response, curves: Array, rng: np.random.Generator) -> Array:
    """Continue all curves to the last rung, with coefficients and noise drawn anew each time."""
    n = len(curves)
    drawn = steps.mean + rng.standard_normal((N_DRAWS, len(steps.mean))) @ _root(steps.covariance).T
    values = np.repeat(steps.curves[np.arange(n), steps.last][None], N_DRAWS, axis=0)
    for rung in steps.rungs:
        going = np.flatnonzero(steps.last <= rung)
        columns = np.broadcast_to(steps.columns[going], (N_DRAWS, len(going), steps.columns.shape[1]))
        design = steps.design(rung, values[:, going], columns)
        change = np.einsum("kip,kp->ki", design, drawn)
        change += steps.noises[rung] * rng.standard_normal(change.shape)
        values[:, going] += steps.scales[rung] * change
    ends = response.back(values)
    whole = ~np.isnan(curves[:, -1])
    ends[:, whole] = curves[whole, -1]
    return ends


def _root(covariance: Array) -> Array:
    try:
        return np.asarray(cholesky(covariance, lower=True))
    except LinAlgError:
        return np.asarray(cholesky(covariance + ROUNDING * np.eye(len(covariance)), lower=True))
