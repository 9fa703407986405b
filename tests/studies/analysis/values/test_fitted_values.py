"""Isolation in a search, on a function whose best over the nuisance parameter is known."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial
from reports import shown

from studies.analysis.estimate import Estimate
from studies.analysis.fit import fit_table
from studies.analysis.table import trials_table
from studies.analysis.values.fitted import FittedValue, fitted_values
from studies.reporting.sections.fitted_values import value_blocks

DISTRIBUTIONS = {
    "optimizer": CategoricalDistribution(("sgd", "adam")),
    "lr": FloatDistribution(1e-4, 1.0, log=True),
}


def truth(optimizer: str, lr: float) -> float:
    """SGD is best at 0.1 and worth 0.9 there; Adam at 0.001 and worth 0.8; each loses 0.1 a decade away, squared."""
    top, best = (0.9, 0.1) if optimizer == "sgd" else (0.8, 0.001)
    return top - 0.05 * float(np.log10(lr / best)) ** 2


@pytest.mark.parametrize("maximize", [True, False])
def test_each_value_is_told_at_its_own_best(maximize: bool) -> None:
    rng = np.random.default_rng(0)
    sign = 1 if maximize else -1
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for k in range(80):
        point = {"optimizer": ("sgd", "adam")[k % 2], "lr": float(10 ** rng.uniform(-4, 0))}
        value = sign * truth(**point) + rng.normal(0, 0.01)
        study.add_trial(create_trial(params=point, distributions=DISTRIBUTIONS, value=value))
    fit = fit_table(trials_table(study, source="random"), seed=0)
    found = {row.value: row for row in fitted_values(fit, "optimizer", maximize=maximize)}
    assert sign * found["sgd"].best.value == pytest.approx(0.9, abs=0.02)
    assert sign * found["adam"].best.value == pytest.approx(0.8, abs=0.02)
    assert all(row.best.lo <= row.best.value <= row.best.hi for row in found.values())
    assert 0.02 < found["sgd"].others["lr"] < 0.5
    assert (found["sgd"].n, found["adam"].n) == (40, 40)
    assert len(fitted_values(fit, "lr", maximize=maximize)) == 5
    assert fitted_values(fit, "width", maximize=maximize) == ()
    assert {row.compared for row in found.values()} == {"final"}


@pytest.mark.parametrize(("metric", "is_cut"), [("val/accuracy", True), ("val/score", False)])
def test_what_the_function_has_beyond_a_known_bound_is_cut_off(metric: str, is_cut: bool) -> None:
    """At its best SGD is worth .999 ± .02, cut at 1."""
    study = optuna.create_study(direction="maximize")
    rng = np.random.default_rng(1)
    for k in range(60):
        point = {"optimizer": ("sgd", "adam")[k % 2], "lr": float(10 ** rng.uniform(-4, 0))}
        value = min(1.0, truth(**point) + 0.099 + float(rng.normal(0, 0.02)))
        study.add_trial(create_trial(params=point, distributions=DISTRIBUTIONS, value=value))
    fit = fit_table(trials_table(study, source="random"), seed=0)
    top = max(row.best.hi for row in fitted_values(fit, "optimizer", maximize=True, metric=metric))
    assert (top == 1.0) is is_cut
    assert (top > 1.0) is not is_cut


def test_values_that_are_compared_before_the_end_say_so() -> None:
    rows = (FittedValue("sgd", Estimate(0.9, 0.8, 1.0), {"lr": 0.1}, 40, "rung 3 of 6"),)
    section = shown(value_blocks("optimizer", rows, "loss", "ok"))
    assert "| loss at rung 3 of 6, at its best |" in section
    assert "**At rung 3 of 6, not at the end**: trials are compared there" in section
