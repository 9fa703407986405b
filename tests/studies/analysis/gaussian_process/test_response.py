from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_functions import friedman

from studies.analysis.gaussian_process.fitted_model import fitted_model
from studies.analysis.gaussian_process.response import Response, responses

SHARES = np.array([0.1, 0.35, 0.8, 0.97])


@pytest.mark.parametrize("response", responses(SHARES), ids=lambda response: response.name)
def test_a_scale_is_undone_and_its_slope_is_counted(response: Response) -> None:
    z = response.forward(SHARES)
    assert response.back(z) == pytest.approx(SHARES)
    assert (z.mean(), z.std()) == pytest.approx((0.0, 1.0))
    slopes = (response.forward(SHARES + 1e-6) - response.forward(SHARES - 1e-6)) / 2e-6
    assert response.log_jacobian(SHARES) == pytest.approx(float(np.log(np.abs(slopes)).sum()), abs=1e-6)


def test_scales_are_offered_where_all_values_allow_them() -> None:
    assert [response.name for response in responses(np.array([-1.0, 2.0, 3.0]))] == ["raw"]
    assert [response.name for response in responses(np.array([0.5, 2.0, 3.0]))] == ["raw", "log"]
    assert [response.name for response in responses(np.array([0.0, 0.5, 1.0]))] == ["raw", "logit"]
    assert [response.name for response in responses(SHARES, seen=np.array([-0.1, 0.5]))] == ["raw"]


def test_shares_of_nothing_and_of_all_are_as_far_from_the_next_as_half_the_least_distance() -> None:
    logit = responses(np.array([0.0, 0.02, 0.5, 1.0]))[-1]
    assert logit.back(logit.forward(np.array([0.0, 1.0]))) == pytest.approx([0.01, 0.99])


def test_the_expected_value_under_noise_is_that_of_a_log_normal() -> None:
    response = Response("log", mean=0.3, sd=0.5)
    found = response.expected(np.array([0.7]), 0.4)
    assert found == pytest.approx([np.exp(0.3 + 0.5 * 0.7 + (0.5 * 0.4) ** 2 / 2)], rel=1e-9)


def test_values_with_the_longer_tail_below_are_turned() -> None:
    y = np.array([-9.0, 0.0, 0.5, 1.0])
    (turned,), (straight,) = responses(y), responses(-y)
    assert (turned.is_turned, straight.is_turned) == (True, False)
    assert turned.forward(y) == pytest.approx(straight.forward(-y))


def test_the_trials_choose_the_scale_on_which_they_are_simple() -> None:
    table = friedman().table(80, noise=0.1, seed=0)
    z = (table.y - table.y.mean()) / table.y.std()
    for y, name in ((z, "raw"), (np.exp(2 * z), "log"), (1 / (1 + np.exp(-2 * z)), "logit")):
        found = replace(table, y=y)
        assert fitted_model(found.axes, found.unit, found.y, None)[0].name == name


@pytest.mark.parametrize("seed", range(3))
def test_the_scale_of_pure_noise_is_the_one_on_which_it_is_normal(seed: int) -> None:
    """All scales are standardised, so only the Jacobian tells them apart."""
    rng = np.random.default_rng(seed)
    axes, unit, noise = friedman().axes[:2], rng.random((60, 2)), rng.standard_normal(60)
    for y, name in ((np.exp(noise), "log"), (5 + noise, "raw"), (1 / (1 + np.exp(-2 * noise)), "logit")):
        assert fitted_model(axes, unit, y, None)[0].name == name
