"""Sobol indices of first and second order, with 95 % intervals, from scattered trials.

An index is the variance of a component under the parameters' measure ÷ the variance of the noise-free function. Both
are of the additive Gaussian process: the estimate in closed form from its mean, the interval from draws of its
posterior, hyperparameters included. If nothing is learned, a share of nothing would be noise. The indices are then 0
with the interval [0, 1]. This is judged by a leave-one-out Q² that shuffled values might give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array, Axis
from studies.analysis.estimate import Estimate
from studies.analysis.gaussian_process import Model, fit, model_of
from studies.analysis.posterior import Draw, Posterior, Variances, laplace_draws, posterior_at
from studies.analysis.surface import Surface
from studies.analysis.threads import one_thread

METHOD = "additive-gp-1"
N_THETAS = 64  # draws of the hyperparameters
N_FUNCTIONS = 6  # draws of the function at each
MOST_LEARNED_FROM_NOISE = 0.4
TRIALS_PER_HYPERPARAMETER = 10  # with fewer, hyperparameters are found anew for left-out predictions
N_FOLDS = 5
ROUNDING = 1e-12  # a share below is none, whose sign and order would be those of rounding errors
FOLD_LENGTHS = (0.5,)


@dataclass(frozen=True, slots=True)
class Index:
    """A share of variance, and the median of the draws that its interval comes from."""

    estimate: Estimate
    median: float = math.nan


@dataclass(frozen=True, slots=True)
class Sobol:
    """Indices of `axes` (d): `mains` (d), `pairs` by (i, j) with i < j, `unexplained` by both (products of three),
    `noise` as a share of the target's whole variance. `predicted` (n,) are leave-one-out predictions and `fitted` (n,)
    those from all trials, with `n_effective` parameters."""

    axes: tuple[Axis, ...]
    mains: tuple[Index, ...]
    pairs: dict[tuple[int, int], Index]
    unexplained: Index
    noise: Index
    q2: float
    predicted: Array
    fitted: Array
    n_effective: float
    surface: Surface
    log_lengths: tuple[float, ...]


@one_thread
def sobol(axes: Sequence[Axis], unit: Array, y: Array, *, seed: int) -> Sobol:
    """Estimate the indices from trials at `unit` (n, d), positions in [0, 1] on the axes, with values `y` (n,), not
    constant.

    Trials and axes are put into an order of their own first, so that theirs makes no difference.
    """
    columns = sorted(range(len(axes)), key=lambda i: axes[i].name)
    rows = np.lexsort((y, *(unit[:, i] for i in reversed(columns))))
    ordered = [axes[i] for i in columns]
    mean, sd = float(y[rows].mean()), float(y[rows].std())
    data = unit[rows][:, columns]
    model = model_of(ordered, data, (y[rows] - mean) / sd)
    points = _left_out_together(ordered, data)
    vector = fit(model)
    posterior = posterior_at(model, vector)
    back = np.argsort(rows)
    predicted = mean + sd * _left_out(model, posterior, points, seed=seed)[back]
    fitted, n_effective = posterior.fitted()
    q2 = _q2(y, predicted, points=points[back])
    draws = _draws(model, vector, np.random.default_rng(seed))
    surface = Surface.of(axes, columns, posterior.mean(), draws, mean=mean, sd=sd)
    estimates = _shares(posterior.variances())
    lo, median, hi = np.percentile([_shares(draw.variances) for draw in draws], [2.5, 50.0, 97.5], axis=0)
    estimates, lo, hi = (np.where(np.abs(shares) < ROUNDING, 0.0, shares) for shares in (estimates, lo, hi))
    lo, hi = np.minimum(lo, estimates), np.maximum(hi, estimates)
    if not q2 > _learned_from_noise(len(y), n_components=len(estimates) - 2):
        estimates, lo, hi = _nothing_learned(estimates, lo, hi)
        median[:-1] = math.nan
    ends = zip(estimates.tolist(), lo.tolist(), hi.tolist(), strict=True)
    found = [Index(Estimate(*own), middle) for own, middle in zip(ends, median.tolist(), strict=True)]
    d, p = len(axes), len(model.pairs)
    position = {column: i for i, column in enumerate(columns)}
    pairs = {}
    for (i, j), index in zip(model.pairs, found[d : d + p], strict=True):
        pairs[min(columns[i], columns[j]), max(columns[i], columns[j])] = index
    return Sobol(
        axes=tuple(axes),
        mains=tuple(found[position[i]] for i in range(d)),
        pairs=dict(sorted(pairs.items())),
        unexplained=found[d + p],
        noise=found[d + p + 1],
        q2=q2,
        predicted=predicted,
        fitted=mean + sd * fitted[back],
        n_effective=n_effective,
        surface=surface,
        log_lengths=tuple(float(vector[position[i]]) for i in range(d)),
    )


def _left_out(model: Model, posterior: Posterior, points: npt.NDArray[np.intp], *, seed: int) -> Array:
    """Predict each point from the others: (n,).

    If trials are few for so many hyperparameters, these were fitted to the very point too, and Q² is too good to be
    true (.97 for .56 on a real search). They are then found anew without a fifth of the points at a time.
    """
    if len(model.y) >= TRIALS_PER_HYPERPARAMETER * len(model.bounds()):
        return posterior.left_out(points)
    predicted = np.empty(len(model.y))
    shuffled = np.random.default_rng(seed).permutation(np.unique(points))
    for fold in np.array_split(shuffled, N_FOLDS):
        out = np.isin(points, fold)
        vector = fit(model.rows(np.flatnonzero(~out)), lengths=FOLD_LENGTHS)
        predicted[out] = posterior_at(model, vector).left_out(points)[out]
    return predicted


def _left_out_together(axes: Sequence[Axis], unit: Array) -> npt.NDArray[np.intp]:
    """Return a number for each trial (n,). Those with the same number are left out together.

    Replicates of a point on a continuous axis would predict each other, and say nothing of the space between points. On
    levels alone there is nothing between them: a level is known from its own trials, and each is left out by itself.
    """
    if all(axis.levels for axis in axes):
        return np.arange(len(unit))
    return np.unique(unit, axis=0, return_inverse=True)[1].ravel()


def _draws(model: Model, vector: Array, rng: np.random.Generator) -> list[Draw]:
    return [
        draw for posterior in laplace_draws(model, vector, N_THETAS, rng) for draw in posterior.draws(N_FUNCTIONS, rng)
    ]


def _shares(variances: Variances) -> Array:
    """Return shares of the function's variance: mains, pairs, rest. Then comes the noise's share of the whole."""
    function = max(variances.function, 1e-12)
    components = np.concatenate([variances.mains, variances.pairs, [variances.rest]]) / function
    return np.append(components, variances.noise / (variances.noise + variances.function))


def _learned_from_noise(n: int, *, n_components: int) -> float:
    """Return a Q² that the best of so many components reaches on shuffled values now and then.

    Fitting one component to noise gains some χ² / n, and choosing among C of them 2 ln C / n more.
    """
    return min(MOST_LEARNED_FROM_NOISE, (15 + 2 * math.log(n_components)) / n)


def _nothing_learned(estimates: Array, lo: Array, hi: Array) -> tuple[Array, Array, Array]:
    """Return zero with the interval [0, 1] for all but the noise."""
    none = np.zeros(len(estimates) - 1)
    return np.append(none, estimates[-1]), np.append(none, lo[-1]), np.append(none + 1, hi[-1])


def _q2(y: Array, predicted: Array, *, points: npt.NDArray[np.intp]) -> float:
    """Return 1 − squared errors of the left-out predictions ÷ those of the mean of the trials at other points."""
    counts = np.bincount(points)[points]
    sums = np.bincount(points, weights=y)[points]
    others = len(y) - counts
    if not np.all(others):
        return float("nan")
    baseline = (y.sum() - sums) / others
    return float(1 - np.sum((y - predicted) ** 2) / np.sum((y - baseline) ** 2))
