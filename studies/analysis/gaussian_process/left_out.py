"""Predictions of trials that were left out, in ten folds, with the hyperparameters found anew for each.

Leave-one-out predictions with the hyperparameters of all trials were too good to be true: a Q² of .95 where ten folds
gave .56 to .74. Trials at one point are left out together. Of more than 250 trials the hyperparameters are known well:
each fold then takes those of all trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.mode import FOLD_LENGTHS, FOLD_TOLERANCE, MOST_ROWS, mode_of
from studies.analysis.gaussian_process.model import Model
from studies.analysis.gaussian_process.posterior import predicted

N_FOLDS = 10
MIN_KNOWN = 10  # values that are known exactly, from which the stretch may be taken alone


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Predictions on the model's scale.

    mean, sd: of each trial's value (n,), noise included
    stretch: the root mean square of the standardised errors: 1 if the predictions' widths are right, more if they are
        too narrow
    """

    mean: Array
    sd: Array
    stretch: float


def left_out(model: Model, mode: Array, points: npt.NDArray[np.intp], *, seed: int) -> LeftOut:
    """Predict all trials from those in other folds. `points` (n,) numbers the distinct points, and `mode` is that of
    all trials' hyperparameters."""
    n = len(model.y)
    mean, variance = np.zeros(n), np.ones(n)
    shuffled = np.random.default_rng(seed).permutation(np.unique(points))
    for fold in np.array_split(shuffled, min(N_FOLDS, len(shuffled))):
        out, kept = (np.flatnonzero(rows) for rows in (np.isin(points, fold), ~np.isin(points, fold)))
        if len(kept):
            vector = mode
            if n <= MOST_ROWS:
                vector = mode_of(model.rows(kept), lengths=FOLD_LENGTHS, tolerance=FOLD_TOLERANCE)
            mean[out], variance[out] = predicted(model, vector, out, kept)
    squares = (model.y - mean) ** 2 / variance
    stretch = float(np.sqrt(squares.mean()))
    if model.errors is not None:
        known = np.diag(model.errors) == 0
        if known.sum() >= MIN_KNOWN:
            stretch = max(stretch, float(np.sqrt(squares[known].mean())))
    return LeftOut(mean, np.sqrt(variance), stretch)


def q2_of(y: Array, mean: Array, points: npt.NDArray[np.intp]) -> float:
    """Return 1 − squared errors of the predictions ÷ those of the mean of the trials at other points, NaN if none."""
    counts = np.bincount(points)[points]
    sums = np.bincount(points, weights=y)[points]
    others = len(y) - counts
    if not np.all(others):
        return float("nan")
    baseline = (y.sum() - sums) / others
    return float(1 - np.sum((y - mean) ** 2) / np.sum((y - baseline) ** 2))
