"""The mode of the Gaussian process's hyperparameters: where their posterior density is greatest.

Of many trials, 250 evenly spread ones tell the hyperparameters. Functions are drawn given all trials.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.model import Model

START_LENGTHS = (0.3, 0.8)
FOLD_LENGTHS = (0.5,)  # where some trials are left out
MOST_ROWS = 250
TOLERANCE = 1e-8  # relative, of the log posterior
FOLD_TOLERANCE = 1e-5


def some_of(model: Model) -> Model:
    """Return the model of up to 250 evenly spread trials."""
    n = len(model.y)
    if n <= MOST_ROWS:
        return model
    return model.rows(np.linspace(0, n - 1, MOST_ROWS).round().astype(np.intp))


def mode_of(model: Model, *, lengths: Sequence[float] = START_LENGTHS, tolerance: float = TOLERANCE) -> Array:
    """Return the vector of hyperparameters at the mode, from starts at several length scales."""
    found = [_descend(model, model.start(length), tolerance) for length in lengths]
    return min(found, key=lambda pair: pair[0])[1]


def _descend(model: Model, start: Array, tolerance: float) -> tuple[float, Array]:
    options = {"maxiter": 200, "ftol": tolerance, "gtol": 1e-4, "maxcor": 40}
    found = minimize(model.objective, start, jac=True, method="L-BFGS-B", bounds=model.bounds(), options=options)
    return float(found.fun), np.asarray(found.x)
