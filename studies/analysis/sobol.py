"""Sobol indices of first and second order, with 95 % intervals, from scattered trials.

An index is the variance of a component under the parameters' measure ÷ the variance of the noise-free function. The
functions are drawn from the posterior of the additive Gaussian process, on the scale that the trials prefer
(gaussian_process/response.py), and mapped back to the metric. The estimate is the posterior mean of the index.

The interval is made of three things. Draws give its shape. Trials that were left out of the fit give its width: it is
stretched by the root mean square of their standardised errors, if that is above 1. What they do not confirm may belong
anywhere: the interval is widened towards [0, 1] by a share of 1 − Q². It is [0, 1] if nothing is learned. That is
judged by a Q² that shuffled values might give, on the metric's scale or on that of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array, Axis
from studies.analysis.estimate import Estimate
from studies.analysis.gaussian_process.fitted_model import fitted_model
from studies.analysis.gaussian_process.left_out import left_out, q2_of
from studies.analysis.gaussian_process.mode import some_of
from studies.analysis.gaussian_process.posterior import Draws, hyperparameters, mean_first, posterior_at
from studies.analysis.gaussian_process.response import Response
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.influence import most_influential, shares_without
from studies.analysis.intervals import intervals
from studies.analysis.levels import PERCENTILES
from studies.analysis.projection import Additive, Projection
from studies.analysis.surface import Functions, Surface
from studies.analysis.threads import one_thread

METHOD = "additive-gp-2"
N_DRAWS = 256
N_THETAS = 64  # draws of the hyperparameters, each with an equal share of the functions
N_THETAS_OF_MANY = 16  # where the trials are more than tell the hyperparameters
LEARNED_FROM_NOISE = 4.0  # over the number of trials: Q² of ten folds of shuffled values was below in all of 36 cases
MOST_LEARNED_FROM_NOISE = 0.4


@dataclass(frozen=True, slots=True)
class Sobol:
    """Indices of `axes` (d).

    mains: (d)
    pairs: by (i, j) with i < j
    unexplained: by both, such as a product of three, and nothing of fewer parameters. Its upper end holds 1 − Q²: what
        is not predicted at trials that were left out is noise, or what many parameters do together.
    noise: a share of the target's whole variance on the scale of the fit
    q2: of the trials that were left out, in the metric's unit
    stretch: of the intervals
    error: the expected sum of the absolute errors of mains and pairs
    influential: the rows of the three trials that make most of the fit
    without: the indices without these trials, by the columns of one axis or of two
    predicted: (n,), each trial from the others, in the metric's unit
    residual: (n,), the trials' values less those that are fitted to all of them, on the scale of the fit
    leverages: of each trial (n,), which sum up to the effective number of parameters behind the fitted values
    """

    axes: tuple[Axis, ...]
    mains: tuple[Estimate, ...]
    pairs: dict[tuple[int, int], Estimate]
    unexplained: Estimate
    noise: Estimate
    q2: float
    stretch: float
    error: float
    influential: npt.NDArray[np.intp]
    without: dict[tuple[int, ...], float]
    predicted: Array
    residual: Array
    leverages: Array
    surface: Surface
    log_lengths: tuple[float, ...]


@one_thread
def sobol(axes: Sequence[Axis], unit: Array, y: Array, *, seed: int, rough: RoughValues | None = None) -> Sobol:
    """Estimate the indices from trials at `unit` (n, d), positions in [0, 1] on the axes, with values `y` (n,), not
    constant.

    `rough` says more of values that are not known exactly. Trials and axes are put into an order of their own first, so
    that theirs makes no difference.
    """
    columns = sorted(range(len(axes)), key=lambda i: axes[i].name)
    rows = np.lexsort((y, *(unit[:, i] for i in reversed(columns))))
    back = np.argsort(rows)
    ordered = [axes[i] for i in columns]
    rough = None if rough is None else rough.over(rows)
    response, model, mode = fitted_model(ordered, unit[rows][:, columns], y[rows], rough)
    points = _left_out_together(ordered, unit[rows][:, columns])
    out = left_out(model, mode, points, seed=seed)
    predicted = response.expected(out.mean, out.sd)
    q2 = q2_of(y[rows], predicted, points)
    rng = np.random.default_rng(seed)
    projection = Projection.of(ordered)
    some = some_of(model)
    n_thetas = N_THETAS if some is model else N_THETAS_OF_MANY
    draws = [
        posterior_at(model, vector).draws(N_DRAWS // n_thetas, projection.bases, rng)
        for vector in hyperparameters(some, mode, N_THETAS, rng)[:: N_THETAS // n_thetas]
    ]
    surface, shares = _metric(axes, columns, draws, response, projection)
    noise = np.array([_noise_share(draw) for draw in draws])
    on_scale = response.forward(y[rows])
    learned = max(q2, q2_of(on_scale, out.mean, points)) > _learned_from_noise(len(y), n_components=shares.shape[1] - 1)
    estimates = intervals(shares, stretch=out.stretch, confirmed=q2)
    if not learned:
        estimates = [replace(estimate, lo=0.0, hi=1.0) for estimate in estimates]
    d, p = len(axes), len(model.pairs)
    place = {column: i for i, column in enumerate(columns)}
    pairs = {}
    for (i, j), estimate in zip(model.pairs, estimates[d : d + p], strict=True):
        pairs[min(columns[i], columns[j]), max(columns[i], columns[j])] = estimate
    whole = posterior_at(model, mode)
    fitted, leverages = whole.fitted()
    influential = most_influential(whole)
    without = shares_without(model, influential, response, projection, rng)
    owners = [*((columns[i],) for i in range(d)), *(tuple(sorted((columns[i], columns[j]))) for i, j in model.pairs)]
    return Sobol(
        axes=tuple(axes),
        mains=tuple(estimates[place[i]] for i in range(d)),
        pairs=dict(sorted(pairs.items())),
        unexplained=_with_unpredicted(estimates[d + p], q2) if d > 2 else Estimate(0.0, 0.0, 0.0),
        noise=_interval(noise),
        q2=q2,
        stretch=out.stretch,
        error=float(np.abs(shares - shares.mean(axis=0))[:, : d + p].mean(axis=0).sum()) * max(1.0, out.stretch),
        influential=rows[influential],
        without=dict(zip(owners, without[: d + p].tolist(), strict=True)),
        predicted=predicted[back],
        residual=(on_scale - fitted)[back],
        leverages=leverages[back],
        surface=surface,
        log_lengths=tuple(float(mode[place[i]]) for i in range(d)),
    )


def _metric(
    axes: Sequence[Axis], columns: Sequence[int], draws: Sequence[Draws], response: Response, projection: Projection
) -> tuple[Surface, Array]:
    """Return the drawn functions on the metric's scale, and the shares of their components: (draws, d + p + 1)."""
    values = [response.expected(draw.values, draw.noise) for draw in draws]
    d, constants = len(axes), mean_first([draw.constants for draw in draws])
    mains = [mean_first([draw.mains[i] for draw in draws]) for i in range(d)]
    pairs = [mean_first([draw.pairs[k] for draw in draws]) for k in range(d * (d - 1) // 2)]
    additive = Additive(constants, [*mains, *pairs], mean_first([draw.additive for draw in draws]))
    components = projection.components(mean_first(values), additive)
    latent = Functions.of(axes, columns, constants, mains, pairs)
    if response.name == "raw":
        effects = latent.scaled(response.mean, response.sd)
    else:
        effects = Functions.of(axes, columns, components.constants, components.mains, components.pairs)
    noise = mean_first([np.full(len(draw.values), draw.noise) for draw in draws])
    return Surface(latent, effects, response, noise), components.shares[1:]


def _noise_share(draw: Draws) -> float:
    noise = draw.noise**2
    return noise / (noise + float(draw.values[0].var()))


def _with_unpredicted(unexplained: Estimate, q2: float) -> Estimate:
    """Return the estimate with the share that is not predicted added to its upper end."""
    hi = unexplained.ends[1]
    return replace(unexplained, hi=hi + (1 - hi) * (1 - min(1.0, max(0.0, q2))))


def _interval(values: Array) -> Estimate:
    lo, hi = np.percentile(values, PERCENTILES)
    return Estimate(float(values.mean()), float(lo), float(hi))


def _left_out_together(axes: Sequence[Axis], unit: Array) -> npt.NDArray[np.intp]:
    """Return a number for each trial (n,). Those with the same number are left out together.

    Replicates of a point on a continuous axis would predict each other, and say nothing of the space between points. On
    levels alone there is nothing between them: a level is known from its own trials, and each is left out by itself.
    """
    if all(axis.levels for axis in axes):
        return np.arange(len(unit))
    return np.unique(unit, axis=0, return_inverse=True)[1].ravel()


def _learned_from_noise(n: int, *, n_components: int) -> float:
    """Return a Q² that the best of so many components reaches on shuffled values now and then.

    Choosing among C components gains 2 ln C / n.
    """
    return min(MOST_LEARNED_FROM_NOISE, (LEARNED_FROM_NOISE + 2 * math.log(n_components)) / n)
