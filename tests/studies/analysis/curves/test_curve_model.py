"""The Gaussian process of curves, against numerical derivatives and a covariance by hand."""

from __future__ import annotations

import numpy as np
import pytest
from known_functions import uniform
from scipy.optimize import approx_fprime

from studies.analysis.axis import Array, levelled
from studies.analysis.curves.curve_model import JITTER, CurveModel, Ends, MinusLogPosterior, curve_model

TIMES = np.linspace(0, 1, 4)


def model(*, seed: int = 0) -> CurveModel:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((8, 4))
    z[::2, 2:] = np.nan
    unit = rng.random((8, 2))
    unit[3, 1] = np.nan
    return curve_model(uniform(2), unit, TIMES, z)


def vector(*, correlations: tuple[float, float] = (0.4, -0.5)) -> Array:
    amplitudes = [0.5, 0.3, 0.7, 0.2, 0.9, 0.4, 0.6, 0.8, 0.1]
    return np.array([np.log(0.6), np.log(0.4), *amplitudes, *correlations, -1.0])


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_derivative(seed: int) -> None:
    objective = MinusLogPosterior(model(seed=seed))
    numerical = approx_fprime(vector(), lambda at: objective(at)[0], 1e-6)
    assert objective(vector())[1] == pytest.approx(numerical, abs=1e-3)


def test_the_covariance_is_that_of_level_line_and_wiener_process() -> None:
    found = model()
    a, s, t = vector()[2:11], TIMES[1], TIMES[3]
    earlier, later = (np.array([2]), np.array([s])), (np.array([2]), np.array([t]))
    same = found.covariance(vector(), earlier, later)[0, 0]
    smooth = a[0] ** 2 + a[1] ** 2 * s * t + a[2] ** 2 * s + 0.4 * a[0] * a[1] * (s + t)
    own = a[3] ** 2 + a[4] ** 2 * s * t + a[5] ** 2 * s - 0.5 * a[3] * a[4] * (s + t)
    shared = a[6] ** 2 + a[7] ** 2 * s * t + a[8] ** 2 * s
    assert same == pytest.approx(smooth + own + shared)
    other = found.covariance(vector(), earlier, (np.array([4]), np.array([t])))[0, 0]
    assert other == pytest.approx(shared + smooth * found.nearness(vector())[2, 4])


def test_what_the_curves_tell_and_what_the_ends_tell_make_what_is_known() -> None:
    """A normal value with a normal observation of it has a posterior in closed form."""
    rng = np.random.default_rng(0)
    before, error = (np.eye(3) + half @ half.T for half in rng.standard_normal((2, 3, 3)) / 2)
    mean, told = rng.standard_normal((2, 3))
    gain = before @ np.linalg.inv(before + error)
    found = Ends(mean + gain @ (told - mean), before - gain @ before, mean, before).told()
    assert found[0] == pytest.approx(told)
    assert found[1] == pytest.approx(error)


def test_curves_that_tell_nothing_have_errors_of_nine_times_the_variance_of_what_others_tell() -> None:
    told, errors = Ends(np.ones(2), np.eye(2), np.ones(2), np.eye(2)).told()
    assert told == pytest.approx(np.ones(2))
    assert errors == pytest.approx(9 * np.eye(2))


def test_ends_are_those_of_a_normal_distribution_given_the_values() -> None:
    found, at = model(), vector()
    values, ends = (found.trial, found.time), (np.array([0, 2]), np.ones(2))
    first = np.concatenate([values[0], ends[0]]), np.concatenate([values[1], ends[1]])
    whole = found.covariance(at, first, first) + (np.exp(-2.0) + JITTER) * np.eye(len(first[0]))
    n = len(found.y)
    known = found.ends(at, ends[0])
    by_all, by_ends = (known.mean, known.covariance), (known.mean_by_ends, known.covariance_by_ends)
    for rows, (mean, covariance) in ((np.arange(n), by_all), (np.flatnonzero(found.time == 1), by_ends)):
        weights = whole[n:, rows] @ np.linalg.inv(whole[np.ix_(rows, rows)])
        assert mean == pytest.approx(weights @ found.y[rows])
        assert covariance == pytest.approx(whole[n:, n:] - weights @ whole[rows, n:])


def test_choices_and_inactive_parameters_are_as_far_as_the_whole_range() -> None:
    axis = levelled("kind", "categorical", "linear", [0.0, 1.0, 2.0], ["a", "b", "c"])
    unit = np.array([[0.0], [0.5], [1.0], [np.nan], [np.nan]])
    distances = curve_model([axis], unit, TIMES, np.zeros((5, 4))).distances[0]
    assert distances.tolist() == [[float(i != j and {i, j} != {3, 4}) for j in range(5)] for i in range(5)]
