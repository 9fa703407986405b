from __future__ import annotations

import math

import numpy as np
import pytest

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.hamiltonian import hamiltonian


def test_draws_have_the_mean_and_covariance_of_a_normal_distribution() -> None:
    mean, covariance = np.array([1.0, -2.0]), np.array([[1.0, 0.6], [0.6, 0.5]])
    precision = np.linalg.inv(covariance)

    def potential(x: Array) -> tuple[float, Array]:
        return float((x - mean) @ precision @ (x - mean) / 2), precision @ (x - mean)

    drawn = np.array(hamiltonian(potential, mean, precision, n=4000, n_warm_up=50, rng=np.random.default_rng(0)))
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.08)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.1)


def test_no_draw_lies_where_the_density_is_zero() -> None:
    def potential(x: Array) -> tuple[float, Array]:
        return (0.0, np.zeros(1)) if 0 <= x[0] <= 1 else (math.inf, np.zeros(1))

    drawn = np.array(
        hamiltonian(potential, np.array([0.5]), np.eye(1), n=2000, n_warm_up=50, rng=np.random.default_rng(0))
    )
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn.mean(), drawn.std()) == pytest.approx((0.5, 12**-0.5), abs=0.05)
