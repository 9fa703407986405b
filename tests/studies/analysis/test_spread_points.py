"""Evenly spread points: on continuous axes, and on levels with their weights."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.analysis.axis import axis_of
from studies.analysis.spread_points import spread_points

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "depth": IntDistribution(1, 4),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
}


def test_points_have_the_measure_of_each_axis() -> None:
    axes = [axis for name, own in SPACE.items() if (axis := axis_of(name, [own])) is not None]
    unit = spread_points(axes, 1024)
    assert unit.shape == (1024, 3)
    assert np.quantile(unit[:, 0], [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.01)
    for i in (1, 2):
        nodes, weights = axes[i].nodes()
        found = [np.mean(unit[:, i] == node) for node in nodes]
        assert found == pytest.approx(weights, abs=0.01)
