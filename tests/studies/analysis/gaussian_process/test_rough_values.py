from __future__ import annotations

import numpy as np
import pytest

from studies.analysis.gaussian_process.response import Response, standardised
from studies.analysis.gaussian_process.rough_values import RoughValues

KNOWN = np.array([0.2, 0.9, 0.5])
CURVES = Response("logit", mean=-1.0, sd=2.0, margin=0.01)  # standardised by all reports


def rough() -> RoughValues:
    errors = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.0]])
    return RoughValues(np.repeat(KNOWN[None], 4, axis=0), CURVES, CURVES.forward(KNOWN), errors)


def test_a_scale_is_standardised_anew_whatever_it_was_standardised_by() -> None:
    found = standardised(CURVES, KNOWN)
    assert (found.name, found.margin) == ("logit", 0.01)
    assert found.forward(KNOWN).mean() == pytest.approx(0)
    assert found.forward(KNOWN).std() == pytest.approx(1)


def test_told_values_and_errors_change_with_the_standardisation() -> None:
    other = standardised(CURVES, KNOWN)
    told, errors = rough().on(other)
    assert told == pytest.approx(other.forward(KNOWN))
    assert errors == pytest.approx(rough().errors * (2 / other.sd) ** 2)


def test_a_value_without_an_error_is_known() -> None:
    assert rough().is_known.tolist() == [False, False, True]
    some = rough().over(np.array([2, 0]))
    assert some.is_known.tolist() == [True, False]
    assert some.told == pytest.approx(CURVES.forward(KNOWN[[2, 0]]))
    assert some.draws.shape == (4, 2)
