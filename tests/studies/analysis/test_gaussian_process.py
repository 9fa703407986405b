from __future__ import annotations

import numpy as np
import pytest
from known_functions import Known, friedman, ishigami, lr_batch_ridge

from studies.analysis.gaussian_process import CONSTANT_VARIANCE, Model, fit, model_of
from studies.analysis.posterior import Posterior, laplace_draws, posterior_at


def model(known: Known, n: int = 40, noise: float = 0.2) -> Model:
    table = known.table(n, noise=noise, seed=0)
    return model_of(table.axes, table.unit, (table.y - table.y.mean()) / table.y.std())


def vector_of(found: Model, seed: int = 1) -> np.ndarray:
    low, high = np.array(found.bounds()).T
    u = np.random.default_rng(seed).uniform(0.3, 0.6, len(low))
    return np.asarray(np.clip(found.start(0.5) * 2 * u, low, high))


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    found = model(ishigami(), n=60)
    return posterior_at(found, fit(found))


@pytest.mark.parametrize("known", [ishigami(), lr_batch_ridge(), friedman()], ids=["3", "2", "6"])
def test_the_gradient_is_that_of_the_objective(known: Known) -> None:
    found = model(known)
    vector = vector_of(found)
    _, gradient = found.objective(vector)
    for i in range(len(vector)):
        step = np.zeros(len(vector))
        step[i] = 1e-5
        numeric = (found.objective(vector + step)[0] - found.objective(vector - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(numeric, rel=1e-4, abs=1e-5)


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    found = model(ishigami())
    whole = found.objective(vector_of(found))
    monkeypatch.setattr("studies.analysis.gaussian_process.CACHED_NUMBERS", 1)
    blocks = found.objective(vector_of(found))
    assert blocks[0] == pytest.approx(whole[0])
    assert blocks[1] == pytest.approx(whole[1])


def test_the_covariance_is_the_sum_of_its_components() -> None:
    found = model(ishigami())
    theta = found.theta(vector_of(found))
    matrices = found.matrices(theta)
    k = [b @ c @ b.T for b, c in zip(found.bases, matrices.covariances, strict=True)]
    expected = CONSTANT_VARIANCE + sum(t**2 * matrix for t, matrix in zip(theta.mains, k, strict=True))
    expected = expected + sum(t**2 * k[i] * k[j] for t, (i, j) in zip(theta.pairs, found.pairs, strict=True))
    expected = expected + theta.rest**2 * k[0] * k[1] * k[2] + theta.noise_variance * np.eye(40)
    assert matrices.total == pytest.approx(expected, abs=1e-6)


def test_what_the_data_do_not_ask_for_vanishes() -> None:
    found = model(ishigami(), n=150, noise=0.1)
    theta = found.theta(fit(found))
    asked_for = dict(zip(found.pairs, theta.pairs, strict=True))
    assert asked_for[0, 2] > 0.3
    assert max(asked_for[0, 1], asked_for[1, 2], theta.rest, theta.mains[2]) < 0.05


def test_left_out_predictions_are_those_of_a_posterior_without_the_trial(posterior: Posterior) -> None:
    found = posterior.model
    points = np.arange(60)
    points[7] = 6  # two replicates of a point are left out together
    predicted = posterior.left_out(points)
    vector = np.concatenate(
        [
            posterior.theta.log_lengths,
            posterior.theta.mains,
            posterior.theta.pairs,
            [posterior.theta.rest, posterior.theta.log_noise],
        ]
    )
    for block in ([0], [6, 7], [31]):
        kept = np.setdiff1d(np.arange(60), block)
        without = posterior_at(found.rows(kept), vector)
        components = posterior._components()[np.ix_(block, kept)]
        assert predicted[block] == pytest.approx(components @ without.solution.alpha, abs=1e-6)


def test_the_closed_form_variances_are_those_of_the_mean_function(posterior: Posterior) -> None:
    closed, function = posterior.variances(), posterior.mean().variances
    assert closed.mains == pytest.approx(function.mains, abs=1e-9)
    assert closed.pairs == pytest.approx(function.pairs, abs=1e-9)


def test_fitted_values_are_those_of_the_mean_function(posterior: Posterior) -> None:
    mean, bases = posterior.mean(), posterior.model.bases
    values = mean.constant + sum(basis @ main for basis, main in zip(bases, mean.mains, strict=True))
    for pair, (i, j) in zip(mean.pairs, posterior.model.pairs, strict=True):
        values = values + np.sum((bases[i] @ pair) * bases[j], axis=1)
    fitted, n_effective = posterior.fitted()
    assert fitted == pytest.approx(values, abs=1e-8)
    assert 5 < n_effective < 60


def test_draws_have_the_posterior_s_mean_and_covariance(posterior: Posterior) -> None:
    draws = list(posterior.draws(4000, np.random.default_rng(0)))
    coefficients = np.array([draw.mains[0] for draw in draws])
    assert coefficients.mean(axis=0) == pytest.approx(posterior.mean().mains[0], abs=0.02)
    t, c = posterior.theta.mains[0], posterior.matrices.covariances[0]
    cross = t**2 * c @ posterior.model.bases[0].T
    expected = t**2 * c - cross @ posterior.solution.inverse @ cross.T
    assert np.cov(coefficients.T) == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_the_precision_is_the_curvature_of_the_objective_where_the_data_are_as_expected() -> None:
    found = model(lr_batch_ridge(), n=200, noise=0.1)
    vector = fit(found)
    precision = found.precision(vector)
    numeric = np.empty_like(precision)
    for i in range(len(vector)):
        step = np.zeros(len(vector))
        step[i] = 1e-4
        numeric[i] = (found.objective(vector + step)[1] - found.objective(vector - step)[1]) / 2e-4
    noise = len(vector) - 1
    assert precision[noise, noise] == pytest.approx(numeric[noise, noise], rel=0.2)
    assert np.linalg.eigvalsh(precision).min() > 0


def test_hyperparameters_are_drawn_within_their_bounds_and_where_the_data_allow() -> None:
    found = model(ishigami(), n=15)
    low, high = np.array(found.bounds()).T
    vector = fit(found)
    least = found.objective(vector)[0]
    for drawn in laplace_draws(found, vector, 100, np.random.default_rng(0)):
        theta = drawn.theta
        assert np.all((low[:3] <= theta.log_lengths) & (theta.log_lengths <= high[:3]))
        assert np.all(np.concatenate([theta.mains, theta.pairs]) <= high[3:9])
        amplitudes = [theta.log_lengths, theta.mains, theta.pairs, [theta.rest, theta.log_noise]]
        assert found.objective(np.concatenate(amplitudes))[0] < least + 16  # 31.3 / 2: .999 of χ² with 11 degrees
