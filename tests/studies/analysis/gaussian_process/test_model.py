from __future__ import annotations

import numpy as np
import pytest
from known_functions import Known, friedman, ishigami, lr_batch_ridge

from studies.analysis.gaussian_process.mode import mode_of
from studies.analysis.gaussian_process.model import CONSTANT_VARIANCE, Model, model_of
from studies.analysis.gaussian_process.posterior import Posterior, hyperparameters, posterior_at, predicted


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
    return posterior_at(found, mode_of(found))


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
    monkeypatch.setattr("studies.analysis.gaussian_process.model.CACHED_NUMBERS", 1)
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
    theta = found.theta(mode_of(found))
    asked_for = dict(zip(found.pairs, theta.pairs, strict=True))
    assert asked_for[0, 2] > 0.3
    assert max(asked_for[0, 1], asked_for[1, 2], theta.rest, theta.mains[2]) < 0.05


def test_errors_of_the_values_are_added_to_the_noise() -> None:
    exact = model(ishigami())
    rough = model_of(ishigami().axes, ishigami().table(40, noise=0.2, seed=0).unit, exact.y, errors=0.5 * np.eye(40))
    theta = exact.theta(vector_of(exact))
    change = rough.matrices(theta).total - exact.matrices(theta).total
    assert change == pytest.approx(0.5 * np.eye(40))
    few = rough.rows(np.arange(7))
    assert few.errors is not None
    assert few.errors.shape == (7, 7)


def test_predictions_are_those_of_a_posterior_without_the_trials() -> None:
    found = model(ishigami(), n=60)
    vector = mode_of(found)
    out = np.array([6, 7, 31])
    kept = np.setdiff1d(np.arange(60), out)
    mean, variance = predicted(found, vector, out, kept)
    without, total = posterior_at(found.rows(kept), vector), found.matrices(found.theta(vector)).total
    across = total[np.ix_(out, kept)]
    assert mean == pytest.approx(across @ without.solution.alpha, abs=1e-6)
    expected = total[np.ix_(out, out)] - across @ without.solution.inverse @ across.T
    assert variance == pytest.approx(np.diag(expected), abs=1e-6)


def test_errors_that_trials_share_tell_nothing_of_a_trial_left_out() -> None:
    exact = model(ishigami())
    shared = 0.3 + 0.2 * np.eye(40)
    rough = Model(exact.y, exact.bases, exact.kernels, shared)
    vector, out, kept = vector_of(exact), np.array([3, 4]), np.setdiff1d(np.arange(40), [3, 4])
    mean, variance = predicted(rough, vector, out, kept)
    function = exact.matrices(exact.theta(vector)).total
    inverse = np.linalg.inv((function + shared)[np.ix_(kept, kept)])
    across = function[np.ix_(out, kept)]
    assert mean == pytest.approx(across @ inverse @ exact.y[kept], abs=1e-8)
    expected = (function + shared)[np.ix_(out, out)] - across @ inverse @ across.T
    assert variance == pytest.approx(np.diag(expected), abs=1e-8)


def test_fitted_values_are_those_of_the_mean_function(posterior: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("NEGLIGIBLE", "LEAST_AMPLITUDE"):
        monkeypatch.setattr(
            f"studies.analysis.gaussian_process.posterior.{limit}", 0.0
        )  # nothing is left out of the draws
    bases = posterior.model.bases
    mean = posterior.draws(1, bases, np.random.default_rng(0))
    values = mean.constants[0] + sum(basis @ main[0] for basis, main in zip(bases, mean.mains, strict=True))
    for pair, (i, j) in zip(mean.pairs, posterior.model.pairs, strict=True):
        values = values + np.sum((bases[i] @ pair[0]) * bases[j], axis=1)
    fitted, leverages = posterior.fitted()
    assert fitted == pytest.approx(values, abs=1e-6)
    assert np.all((leverages > 0) & (leverages < 1))
    assert 5 < leverages.sum() < 60


def test_draws_have_the_posterior_s_mean_and_covariance(posterior: Posterior) -> None:
    draws = posterior.draws(4000, posterior.model.bases, np.random.default_rng(0))
    coefficients = draws.mains[0]
    assert coefficients[1:].mean(axis=0) == pytest.approx(coefficients[0], abs=0.02)
    t, c = posterior.theta.mains[0], posterior.matrices.covariances[0]
    cross = t**2 * c @ posterior.model.bases[0].T
    expected = t**2 * c - cross @ posterior.solution.inverse @ cross.T
    assert np.cov(coefficients[1:].T) == pytest.approx(expected, abs=0.01)


def test_values_at_points_have_the_posterior_s_mean_and_variance() -> None:
    """Triples are drawn with random features, so their variance is right on average over these."""
    found = model(friedman(), n=40)
    vector = vector_of(found)
    vector[-2] = 0.6
    posterior, rng = posterior_at(found, vector), np.random.default_rng(0)
    far = [axis.basis(rng.random(5)) for axis in friedman().axes]
    drawn = np.concatenate([posterior.draws(20, far, rng).values[1:] for _ in range(150)])
    theta = found.theta(vector)
    every = [np.vstack([near, there]) for near, there in zip(found.bases, far, strict=True)]
    joint = Model(np.zeros(45), every, found.kernels).matrices(theta).total - theta.noise_variance * np.eye(45)
    across, own = joint[40:, :40], joint[40:, 40:]
    mean = across @ posterior.solution.alpha
    covariance = own - across @ posterior.solution.inverse @ across.T
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.06)
    assert drawn.var(axis=0) == pytest.approx(np.diag(covariance), rel=0.15)


@pytest.mark.slow
def test_the_precision_is_the_curvature_of_the_objective_where_the_data_are_as_expected() -> None:
    found = model(lr_batch_ridge(), n=200, noise=0.1)
    vector = mode_of(found)
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
    vector = mode_of(found)
    least = found.objective(vector)[0]
    drawn = np.array(hyperparameters(found, vector, 100, np.random.default_rng(0)))
    assert np.all((low[:3] <= drawn[:, :3]) & (drawn[:, :3] <= high[:3]))
    assert np.all(np.abs(drawn[:, 3:-1]) <= high[3:-1])
    assert max(found.objective(np.abs(own) * np.sign(own))[0] for own in drawn) < least + 20
