"""The difference in the metric that does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_functions import table, uniform

from studies.analysis.gaussian_process.response import Response, standardised
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.table import TrialsTable
from studies.analysis.tuning.tolerance import GIVEN, OF_A_SHARE, OF_THE_TRIALS, Tolerance, tolerance_of


def trials(*y: float) -> TrialsTable:
    return table(uniform(1), np.linspace(0, 1, len(y))[:, None], np.array(y))


def test_the_one_that_is_given_counts() -> None:
    for metric in ("val/accuracy", "loss"):
        assert tolerance_of(trials(0.1, 0.2), metric=metric, given=0.5) == Tolerance(0.5, GIVEN)


def test_of_an_accuracy_or_an_error_rate_it_is_a_hundredth() -> None:
    for metric in ("val/accuracy", "top_5_error_rate"):
        assert tolerance_of(trials(0.1, 0.2), metric=metric, given=None) == Tolerance(0.01, OF_A_SHARE)


@pytest.mark.parametrize(("metric", "scale"), [("loss", 1.0), ("value", 1.0), ("f1", 1.0), ("accuracy", 100.0)])
def test_of_all_else_it_is_a_tenth_of_the_way_to_the_middling_trial(metric: str, scale: float) -> None:
    """Even of a loss with values from 0 to 1. An accuracy in percent is no share."""
    own = trials(0.1 * scale, 0.3 * scale, 0.9 * scale)
    assert tolerance_of(own, metric=metric, given=None) == Tolerance(pytest.approx(0.02 * scale), OF_THE_TRIALS)
    turned = replace(own, y=-own.y, maximize=True)
    assert tolerance_of(turned, metric="loss", given=None).value == pytest.approx(0.02 * scale)


def test_a_predicted_accuracy_beyond_1_is_an_accuracy_all_the_same() -> None:
    own = trials(0.9, 0.95, 1.01)
    raw = standardised(Response("raw"), own.y)
    rough = RoughValues(own.y[None], raw, raw.forward(own.y), np.diag([0.0, 0.0, 1.0]))
    assert tolerance_of(replace(own, rough=rough), metric="accuracy", given=None).value == 0.01


def test_without_trials_nothing_is_known() -> None:
    assert tolerance_of(trials(), metric="loss", given=None).value == 0.0
