"""The model of trials on the scale that they prefer, with the mode of its hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.gaussian_process.mode import START_LENGTHS, mode_of, some_of
from studies.analysis.gaussian_process.model import Model, model_of
from studies.analysis.gaussian_process.response import Response, responses, standardised
from studies.analysis.gaussian_process.rough_values import RoughValues

DIGITS = 9  # of standardised values: a chain of draws would make much of a rounding error in the metric's unit


def fitted_model(
    axes: Sequence[Axis],
    unit: Array,
    y: Array,
    rough: RoughValues | None,
    *,
    lengths: Sequence[float] = START_LENGTHS,
) -> tuple[Response, Model, Array]:
    """Return the scale of the highest evidence, with its model and the mode of its hyperparameters.

    The trials are at `unit` (n, d) with values `y` (n,). Where some are known only roughly, the scale is that of
    `rough`.
    """
    found = []
    for response in responses(y) if rough is None else [standardised(rough.response, y)]:
        z, errors = (response.forward(y), None) if rough is None else rough.on(response)
        model = model_of(axes, unit, np.round(z, DIGITS), errors=errors)
        some = some_of(model)
        mode = mode_of(some, lengths=lengths)
        evidence = some.log_evidence(mode) + response.log_jacobian(y) * len(some.y) / len(y)
        found.append((evidence, response, model, mode))
    _, response, model, mode = max(found, key=lambda own: own[0])
    return response, model, mode
