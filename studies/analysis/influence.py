"""The three trials that make most of the fit, and the indices without them.

A trial's influence is its weight in the fitted function times its fitted value about their mean: its part of the
function's variance. How far the fit moves without it (Cook 1977) would not do: of three outliers side by side, each
keeps the fit where it is when another is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.mode import FOLD_LENGTHS, FOLD_TOLERANCE, mode_of, some_of
from studies.analysis.gaussian_process.model import Model
from studies.analysis.gaussian_process.posterior import Posterior, posterior_at
from studies.analysis.gaussian_process.response import Response
from studies.analysis.projection import Additive, Projection

N_INFLUENTIAL = 3
N_DRAWS = 48


def most_influential(posterior: Posterior) -> npt.NDArray[np.intp]:
    """Return the rows of the three trials with the largest parts of the fitted function, if there are as many."""
    alpha = posterior.solution.alpha
    fitted = posterior.components() @ alpha
    parts = np.abs(alpha * (fitted - fitted.mean()))
    return np.sort(np.argsort(-parts, kind="stable")[:N_INFLUENTIAL])


def shares_without(
    model: Model, rows: npt.NDArray[np.intp], response: Response, projection: Projection, rng: np.random.Generator
) -> Array:
    """Return the mean shares of the components, with hyperparameters found anew without `rows`: (d + p + 1,)."""
    kept = model.rows(np.setdiff1d(np.arange(len(model.y)), rows))
    mode = mode_of(some_of(kept), lengths=FOLD_LENGTHS, tolerance=FOLD_TOLERANCE)
    drawn = posterior_at(kept, mode).draws(N_DRAWS, projection.bases, rng)
    values = response.expected(drawn.values, drawn.noise)[1:]
    return np.asarray(projection.components(values, Additive.of([drawn], slice(1, None))).shares.mean(axis=0))
