"""The mode of the Gaussian process's hyperparameters: where their posterior density is greatest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from studies.analysis.axis import Array
from studies.analysis.gaussian_process import Model

START_LENGTHS = (0.3, 0.8)
START_ROWS = 250  # the starts are compared on so many trials


def mode_of(model: Model, *, lengths: Sequence[float] = START_LENGTHS) -> Array:
    """Return the vector of hyperparameters at the mode, from starts at several length scales.

    The starts are compared on up to 250 evenly spread trials.
    """
    n = len(model.y)
    some = model.rows(np.unique(np.linspace(0, n - 1, min(n, START_ROWS)).round().astype(np.intp)))
    found = [_descend(some, some.start(length)) for length in lengths]
    best = min(found, key=lambda pair: pair[0])[1]
    return best if len(some.y) == n else _descend(model, best)[1]


def _descend(model: Model, start: Array) -> tuple[float, Array]:
    options = {"maxiter": 200, "ftol": 1e-8, "gtol": 1e-4, "maxcor": 40}
    found = minimize(model.objective, start, jac=True, method="L-BFGS-B", bounds=model.bounds(), options=options)
    return float(found.fun), np.asarray(found.x)
