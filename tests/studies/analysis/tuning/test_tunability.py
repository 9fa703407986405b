"""What has to be tuned: losses known in closed form, and what is said without a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from known_functions import Known, known, log_axis, table, uniform
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from studies import schema
from studies.analysis.axis import Array, levelled
from studies.analysis.effects import fits_of
from studies.analysis.fit import fit_table
from studies.analysis.table import TrialsTable, trials_table
from studies.analysis.tuning.one_at_a_time import Lattice
from studies.analysis.tuning.tunability import Tunability, tunability

Point = dict[str, Any]
KINDS = levelled("kind", "categorical", "linear", [0.0, 1.0, 2.0], ["good", "also", "bad"])


def rows(
    trials: TrialsTable, *, tolerance: float = 0.02, defaults: Mapping[str, Any] | None = None
) -> dict[str, Tunability]:
    found = tunability(fits_of(trials, seed=0), defaults=defaults or {}, tolerance=tolerance, seed=0)
    return {row.name: row for row in found}


def bowl_with_ridge() -> Known:
    """(x + y − 1)² + (y − .5)² / 4 + 0 · z: held at x = a, the best of the rest loses ((a − .5)²) / 5."""

    def function(u: Array) -> Array:
        return np.asarray((u[:, 0] + u[:, 1] - 1) ** 2 + (u[:, 1] - 0.5) ** 2 / 4)

    return known(uniform(3), function)


def with_kinds() -> TrialsTable:
    """(x − .3)², and .4 more for the bad kind."""
    rng = np.random.default_rng(1)
    unit = np.column_stack([rng.uniform(size=90), rng.integers(0, 3, 90) / 2])
    y = (unit[:, 0] - 0.3) ** 2 + 0.4 * (unit[:, 1] == 1) + 0.02 * rng.standard_normal(90)
    return table((*uniform(1), KINDS), unit, y)


@pytest.mark.parametrize("maximize", [False, True])
def test_the_loss_of_a_ridge_is_what_the_rest_cannot_make_good(maximize: bool) -> None:
    trials = bowl_with_ridge().table(120, noise=0.05, seed=0)
    if maximize:
        trials = replace(trials, y=-trials.y, maximize=True)
    found = rows(trials, defaults={"x1": 0.0, "x2": 0.0, "x3": 0.0})
    assert found["x1"].loss.value == pytest.approx(0.25 / 5, abs=0.015)
    assert found["x2"].loss.value == pytest.approx(0.25 / 4, abs=0.015)
    for name, truth in (("x1", 0.25 / 5), ("x2", 0.25 / 4)):
        assert found[name].loss.lo <= truth <= found[name].loss.hi
        assert found[name].best == pytest.approx(0.5, abs=0.15)
    assert list(found)[-1] == "x3"  # the greatest loss first


def test_a_parameter_without_effect_loses_nothing_anywhere() -> None:
    row = rows(bowl_with_ridge().table(120, noise=0.05, seed=0), defaults={"x3": 0.9})["x3"]
    assert row.loss.value == pytest.approx(0.0, abs=0.003)
    assert row.loss.lo < 1e-3
    assert row.need == "keep"
    assert row.near == row.possible == (0.0, 1.0)


def test_a_range_that_is_kept_whole_ends_at_the_limits_of_the_axis() -> None:
    """1e-3 · 500 as logarithms is .49999999999999994, which would leave a little to be worse above."""
    lr = log_axis("lr", 1e-3, 0.5)
    unit = np.random.default_rng(0).uniform(size=(80, 2))
    row = rows(table((lr, *uniform(1)), unit, unit[:, 1] ** 2), tolerance=0.1)["lr"]
    assert row.near == row.possible == (lr.decode(lr.low), lr.decode(lr.high))


def test_a_default_at_the_best_value_may_stay_and_one_far_off_has_to_be_tuned() -> None:
    trials = bowl_with_ridge().table(150, noise=0.02, seed=0)
    assert {name: row.need for name, row in rows(trials, defaults={"x1": 0.5, "x2": 0.0}).items()} == {
        **{"x1": "keep", "x2": "tune"},
        **{"x3": "keep"},
    }
    assert rows(trials, defaults={"x1": 0.5, "x2": 0.0}, tolerance=0.05)["x2"].need == "open"


def test_the_range_within_the_tolerance_is_that_of_the_closed_form() -> None:
    """(x − .5)² / 5 ≤ .02 for |x − .5| ≤ √.1."""
    row = rows(bowl_with_ridge().table(150, noise=0.02, seed=0))["x1"]
    assert row.near == pytest.approx((0.5 - np.sqrt(0.1), 0.5 + np.sqrt(0.1)), abs=0.06)
    assert row.near[0] <= row.best <= row.near[1]
    assert row.possible[0] <= row.near[0] < row.near[1] <= row.possible[1]


def test_of_a_categorical_the_choices_are_told() -> None:
    row = rows(with_kinds(), defaults={"kind": "bad"})["kind"]
    assert row.is_searched
    assert row.loss.value == pytest.approx(0.4, abs=0.05)
    assert (row.near, row.worse, row.need) == (("good", "also"), ("bad",), "tune")
    assert row.best in row.near


@pytest.mark.parametrize("default", [None, 1.5, -0.01, "auto", True])
def test_without_a_searched_default_the_middling_value_is_held(default: Any) -> None:
    """(x − .3)² is at most .0625 in the half of [0, 1] within .25 of .3."""
    row = rows(with_kinds(), defaults={"x1": default})["x1"]
    assert not row.is_searched
    assert row.default == default
    assert row.loss.value == pytest.approx(0.25**2, abs=0.02)


def test_of_two_choices_one_taken_blindly_loses_half_of_the_difference() -> None:
    two = levelled("kind", "categorical", "linear", [0.0, 1.0], ["good", "bad"])
    rng = np.random.default_rng(2)
    unit = np.column_stack([rng.uniform(size=80), rng.integers(0, 2, 80)])
    y = (unit[:, 0] - 0.3) ** 2 + 0.4 * unit[:, 1] + 0.02 * rng.standard_normal(80)
    assert rows(table((*uniform(1), two), unit, y))["kind"].loss.value == pytest.approx(0.2, abs=0.03)


def test_a_default_is_met_on_a_logarithmic_scale_and_among_levels() -> None:
    axes = (log_axis("lr", 1e-4, 1e-1), levelled("batch", "discrete", "log2", [4.0, 5.0, 6.0], [16, 32, 64]))
    rng = np.random.default_rng(3)
    unit = np.column_stack([rng.uniform(size=90), rng.integers(0, 3, 90) / 2])
    y = (unit[:, 0] - 1 / 3) ** 2 + 0.1 * unit[:, 1] + 0.01 * rng.standard_normal(90)
    trials = table(axes, unit, y)
    at = rows(trials, defaults={"lr": 1e-2, "batch": 64})
    assert at["lr"].loss.value == pytest.approx((1 / 3) ** 2, abs=0.02)
    assert at["batch"].loss.value == pytest.approx(0.1, abs=0.02)
    assert rows(trials, defaults={"batch": 64 * (1 + 1e-7)})["batch"].is_searched  # as in a table of values
    off = rows(trials, defaults={"lr": 0.0, "batch": 48})
    assert not off["lr"].is_searched
    assert not off["batch"].is_searched  # nothing is known between levels


@pytest.mark.slow
def test_the_best_of_the_mean_function_is_optimistic_and_the_draws_tell() -> None:
    """Under noise alone nothing is lost anywhere. The mean function says otherwise, the draws leave it open."""
    said = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        trials = table(uniform(4), rng.uniform(size=(40, 4)), rng.standard_normal(40))
        fit = fit_table(trials, seed=0)
        assert fit.sobol is not None
        for row in tunability([fit], defaults=dict.fromkeys(trials.names, 0.98), tolerance=0.1, seed=0):
            assert row.loss.lo < 0.02
            assert row.need != "tune"
        lattice = Lattice.of(fit.sobol.surface, maximize=False)
        profiles = [lattice.losses(own)[0] for own in lattice.profiles(np.random.default_rng(0))]
        said.append(max(float(own[-1] - own.min()) for own in profiles))
    assert max(said) > 0.1


def drawn(metric: str) -> tuple[Array, Array]:
    """The best values of functions drawn for an accuracy, some above 1, and the losses of those that are kept."""
    rng = np.random.default_rng(5)
    unit = rng.uniform(size=(40, 3))
    y = np.clip(0.98 - 0.5 * (unit[:, 0] - 0.5) ** 2 + 0.01 * rng.standard_normal(40), 0, 1)
    fit = fit_table(replace(table(uniform(3), unit, y), maximize=True), seed=0)
    assert fit.sobol is not None
    raw = replace(fit.sobol.surface, response=replace(fit.sobol.surface.response, name="raw", mean=0.9, sd=0.1))
    free = Lattice.of(raw, maximize=True).profiles(np.random.default_rng(0))[0]
    best = -Lattice.of(raw, maximize=True).losses(free)[1:].min(axis=1)
    own = replace(fit, sobol=replace(fit.sobol, surface=raw))
    (row,) = tunability([own], defaults={}, tolerance=0.01, seed=0, metric=metric)[:1]
    return best, row.losses


def test_no_drawn_accuracy_is_above_one() -> None:
    best, losses = drawn("val/accuracy")
    assert best.max() > 1
    assert len(losses) == max(40, np.sum(best <= 1))


def test_a_score_of_another_name_may_be_above_one_wherever_its_values_lie() -> None:
    best, losses = drawn("score")
    assert len(losses) == len(best)


def test_held_values_are_searched_as_hard_as_the_best_one() -> None:
    """Of additive functions every loss is that of the parameter's own part, however many others there are."""
    trials = known(uniform(2), lambda u: (u[:, 0] - 0.2) ** 2 + u[:, 1]).table(80, noise=0.02, seed=0)
    fit = fit_table(trials, seed=0)
    assert fit.sobol is not None
    latent = fit.sobol.surface.latent
    additive = replace(latent, pairs={key: np.zeros_like(pair) for key, pair in latent.pairs.items()})
    lattice = Lattice.of(replace(fit.sobol.surface, latent=additive), maximize=False)
    for profile, main in zip(lattice.profiles(np.random.default_rng(0)), lattice.mains, strict=True):
        own, part = (values - values.min(axis=1, keepdims=True) for values in (profile, main))
        assert own == pytest.approx(part, abs=1e-9)


@pytest.mark.slow
def test_a_conditional_parameter_is_judged_where_it_was_active() -> None:
    space: dict[str, BaseDistribution] = {
        "kind": CategoricalDistribution(["plain", "special"]),
        "a": FloatDistribution(0.0, 1.0),
        "b": FloatDistribution(0.0, 1.0),
        "n": IntDistribution(1, 4),
    }

    def loss(point: Point) -> float:
        return (point["a"] - 0.5) ** 2 + (point["b"] - 0.8) ** 2 if "b" in point else (point["a"] - 0.5) ** 2 + 0.1

    found = rows(trials_table(_searched(loss, space)), defaults={"b": 0.2, "kind": "plain"})
    assert found["b"].scope == ("b",)
    assert found["b"].loss.value == pytest.approx(0.36, abs=0.05)
    assert 40 < found["b"].n < 100
    assert found["kind"].scope == ()
    assert found["a"].n == 140


def test_nothing_fitted_gives_nothing_and_the_same_seed_the_same_numbers() -> None:
    trials = with_kinds()
    assert rows(trials.over(np.arange(90) < 5, trials.names)) == {}
    first, second = (rows(trials, defaults={"kind": "bad"})["kind"].loss for _ in range(2))
    assert first == second


def _searched(loss: Callable[[Point], float], space: dict[str, BaseDistribution]) -> optuna.Study:
    rng = np.random.default_rng(0)
    study = optuna.create_study()
    for _ in range(140):
        point: Point = {"kind": str(rng.choice(["plain", "special"])), "a": rng.uniform(), "n": int(rng.integers(1, 5))}
        if point["kind"] == "special":
            point["b"] = rng.uniform()
        study.add_trial(
            create_trial(
                value=loss(point) + 0.02 * rng.standard_normal(),
                params=point,
                distributions={name: space[name] for name in point},
                user_attrs={schema.SOURCE: "random"},
            )
        )
    return study
