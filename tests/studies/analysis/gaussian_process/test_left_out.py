from __future__ import annotations

import numpy as np
import pytest
from known_functions import ishigami

from studies.analysis.gaussian_process.left_out import left_out, q2_of
from studies.analysis.gaussian_process.mode import mode_of
from studies.analysis.gaussian_process.model import Model, model_of
from studies.analysis.gaussian_process.posterior import posterior_at
from studies.analysis.influence import most_influential


def model(n: int = 50, *, outlier: float = 0.0) -> Model:
    table = ishigami().table(n, noise=0.2, seed=0)
    y = (table.y - table.y.mean()) / table.y.std()
    y[7] += outlier
    return model_of(table.axes, table.unit, y)


def test_a_trial_does_not_predict_itself() -> None:
    plain, moved = (model(outlier=outlier) for outlier in (0.0, 5.0))
    points = np.arange(50)
    first, second = (left_out(own, mode_of(own), points, seed=0) for own in (plain, moved))
    assert first.mean[7] == pytest.approx(second.mean[7], abs=1e-6)
    assert not np.allclose(first.mean, second.mean)
    assert second.stretch > first.stretch


def test_trials_at_one_point_are_left_out_together() -> None:
    own = model()
    points = np.arange(50)
    points[8] = 7
    own.y[8] = own.y[7] = 9.0
    for basis in own.bases:
        basis[8] = basis[7]
    assert left_out(own, mode_of(own), points, seed=0).mean[7] < 5


def test_the_stretch_is_about_one_where_the_model_is_right() -> None:
    found = []
    for seed in range(4):
        table = ishigami().table(80, noise=0.3, seed=seed)
        own = model_of(table.axes, table.unit, (table.y - table.y.mean()) / table.y.std())
        found.append(left_out(own, mode_of(own), np.arange(80), seed=0).stretch)
    assert np.mean(found) == pytest.approx(1.05, abs=0.15)


def test_q2_is_none_of_one_point_and_one_of_perfect_predictions() -> None:
    y = np.array([1.0, 2.0, 4.0])
    assert np.isnan(q2_of(y, y, np.zeros(3, dtype=np.intp)))
    assert q2_of(y, y, np.arange(3)) == 1.0
    others = np.array([3.0, 2.5, 1.5])
    assert q2_of(y, others, np.arange(3)) == pytest.approx(0.0)


def test_an_outlier_is_among_the_influential() -> None:
    own = model(outlier=6.0)
    assert 7 in most_influential(posterior_at(own, mode_of(own)))
