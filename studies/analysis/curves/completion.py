"""The last values of pruned trials, predicted from their curves.

A Gaussian process of all curves (curve_model.py) predicts them, on the scale of the metric and of time that the data
prefer. A predicted end is drawn towards those of the trials near by. A model of the ends would do so once more, and
would flatten effects. So what the curves themselves tell of the ends is told apart from what other ends tell.

Measured on pruned searches of the recorded table, 60 trials each: the error of a predicted end is a third of the ends'
standard deviation (root mean square), and .92 of the ends lie in their 95 % interval. A regression from step to step
erred by a whole standard deviation: it carried the noise of good curves over to bad ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.curves.curve_model import CurveModel, curve_model
from studies.analysis.gaussian_process.response import Response, responses
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.threads import one_thread

N_DRAWS = 300
LEARNT_FROM = 50  # trials, from which the hyperparameters are learnt
GROUP = 300  # trials that are predicted together


@one_thread
def completed(curves: Array, steps: Array, axes: Sequence[Axis], unit: Array, *, seed: int) -> RoughValues:
    """Return the last value of each trial.

    `curves` is (n, k) at `steps` (k,), with NaN where there is no report, and `unit` (n, d) the positions in [0, 1],
    NaN where a parameter was not active. Trials are put into an order of their own first, by the lengths of their
    curves, so that theirs makes no difference. Of more than 300, groups are predicted one by one.
    """
    lengths = (~np.isnan(curves)).sum(axis=1)
    order = np.lexsort((*np.nan_to_num(unit, nan=np.inf).T, *np.nan_to_num(curves, nan=np.inf).T, lengths))
    return _ordered(curves[order], steps, axes, unit[order], seed=seed).over(np.argsort(order))


def _ordered(curves: Array, steps: Array, axes: Sequence[Axis], unit: Array, *, seed: int) -> RoughValues:
    n = len(curves)
    some = _evenly(n, LEARNT_FROM)
    response, times, vector = _learnt(curves[some], curves[~np.isnan(curves)], steps, axes, unit[some])
    rng = np.random.default_rng(seed)
    draws = np.repeat(curves[:, -1][None], N_DRAWS, axis=0)
    told, errors = response.forward(curves[:, -1]), np.zeros((n, n))
    n_groups = -(-n // GROUP)
    for first in range(n_groups):
        rows = np.arange(first, n, n_groups)
        pruned = np.flatnonzero(np.isnan(curves[rows, -1]))
        if len(pruned):
            model = _model(response, times, curves[rows], axes, unit[rows])
            ends, rows = model.ends(vector, pruned), rows[pruned]
            draws[:, rows] = response.back(ends.draws(N_DRAWS, rng))
            told[rows], errors[np.ix_(rows, rows)] = ends.told()
    return RoughValues(draws, response, told, errors)


def _learnt(
    curves: Array, seen: Array, steps: Array, axes: Sequence[Axis], unit: Array
) -> tuple[Response, Array, Array]:
    """Return the scale of the metric, the times of the steps, and the hyperparameters that fit best.

    `seen` are the values of all trials, by which the scale is standardised.
    """
    known = curves[~np.isnan(curves)]

    found, start = [], None
    for times, response in product(_times(steps), responses(seen)):
        start, density = _model(response, times, curves, axes, unit).mode(start)
        found.append((density + response.log_jacobian(known), response, times, start))
    return max(found, key=lambda own: own[0])[1:]


def _times(steps: Array) -> tuple[Array, Array]:
    """Return the steps as times from 0 to 1: by their logarithm, and as they are."""
    counted = steps + max(0.0, 1.0 - steps[0])
    logs = np.log(counted)
    return (logs - logs[0]) / (logs[-1] - logs[0]), (steps - steps[0]) / (steps[-1] - steps[0])


def _model(response: Response, times: Array, curves: Array, axes: Sequence[Axis], unit: Array) -> CurveModel:
    z = np.full(curves.shape, np.nan)
    known = ~np.isnan(curves)
    z[known] = response.forward(curves[known])
    return curve_model(axes, unit, times, z)


def _evenly(n: int, most: int) -> np.typing.NDArray[np.intp]:
    """Return up to `most` of n rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))
