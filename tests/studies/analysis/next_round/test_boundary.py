"""Where the best lies: answers known in advance, and none where there is nothing to be known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial
from scipy.stats import t

from studies import schema
from studies.analysis.effects import fits_of
from studies.analysis.next_round.boundary import Place, places
from studies.analysis.table import trials_table
from studies.analysis.tuning.tunability import tunability

UNIT = FloatDistribution(0.0, 1.0)
SPACE: dict[str, BaseDistribution] = {"a": UNIT, "b": UNIT}

Point = dict[str, Any]


def found(
    loss: Callable[[Point], float],
    *,
    n: int = 50,
    noise: float = 0.05,
    seed: int = 0,
    space: dict[str, BaseDistribution] = SPACE,
    maximize: bool = False,
) -> dict[str, Place]:
    rng = np.random.default_rng(seed)
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for _ in range(n):
        point = {
            name: str(rng.choice(d.choices))
            if isinstance(d, CategoricalDistribution)
            else int(rng.integers(d.low, d.high + 1))
            if isinstance(d, IntDistribution)
            else float(rng.uniform())
            for name, d in space.items()
        }
        if point.get("kind") == "plain":
            del point["b"]
        value = loss(point) + noise * float(rng.standard_normal())
        study.add_trial(
            create_trial(
                value=-value if maximize else value,
                params=point,
                distributions={name: space[name] for name in point},
                user_attrs={schema.SOURCE: "random"},
            )
        )
    table = trials_table(study)
    return {
        place.name: place
        for place in places(table, tunability(fits_of(table, seed=0), defaults={}, tolerance=0.01, seed=0))
    }


def bowl(at: float) -> Callable[[Point], float]:
    return lambda point: (point["a"] - at) ** 2 + (point["b"] - 0.5) ** 2


@pytest.mark.parametrize("maximize", [False, True])
def test_an_optimum_beyond_a_limit_puts_the_best_at_that_limit(maximize: bool) -> None:
    above, below = found(bowl(1.4), maximize=maximize), found(bowl(-0.4), maximize=maximize)
    assert (above["a"].limit, below["a"].limit) == ("high", "low")
    assert (above["b"].limit, below["b"].limit) == (None, None)
    assert above["a"].basis == "function"


def test_an_optimum_inside_is_at_no_limit_and_the_far_ends_are_surely_worse() -> None:
    for place in found(bowl(0.6)).values():
        assert place.limit is None
        assert place.worth is not None
        low, high = place.worth
        assert 0 < low < 0.5 < 0.6 < high < 1
        assert place.best == pytest.approx(0.55, abs=0.15)


def test_a_parameter_without_effect_has_its_best_nowhere() -> None:
    place = found(lambda point: (point["a"] - 0.5) ** 2)["b"]
    assert (place.limit, place.worth) == (None, None)
    assert np.isnan(place.at_low)


@pytest.mark.slow
def test_where_no_function_predicts_the_trend_of_the_trials_is_asked() -> None:
    def away_from(at: float) -> Callable[[Point], float]:
        return lambda p: abs(p["a"] - at) + (20.0 if (1e4 * p["b"]) % 1 < 0.15 else 0.0)  # what no function predicts

    for at, limit in ((1.2, "high"), (-0.2, "low"), (0.85, None), (0.5, None)):
        place = found(away_from(at), n=80)["a"]
        assert (place.basis, place.limit) == ("trials", limit)


def test_a_trend_towards_a_limit_says_nothing_where_the_best_trials_lie_elsewhere() -> None:
    def loss(p: Point) -> float:
        return (-2.0 if abs(p["a"] - 0.3) < 0.1 else 1 - p["a"]) + (20.0 if (1e4 * p["b"]) % 1 < 0.15 else 0.0)

    place = found(loss, n=80)["a"]
    assert (place.basis, place.limit) == ("trials", None)


@pytest.mark.parametrize(("n_others", "limit"), [(0, "high"), (9, None)])
def test_a_trend_counts_for_less_the_more_parameters_it_was_looked_for_in(n_others: int, limit: str | None) -> None:
    """Of the 13 trials in the outer third the 7 nearest to the limit are turned round, so Σd² is 7 · (7² - 1) / 3, and
    Spearman's r 1 - 6 · 112 / (13 · (13² - 1)); its p counts once for each side of each parameter."""
    order = [*reversed(range(7)), *range(7, 40)]
    names = ["a", *(f"b{i}" for i in range(n_others))]
    study, rng = optuna.create_study(), np.random.default_rng(0)
    for i, loss in enumerate(order):
        point = {name: 1 - (i + 0.5) / 40 if name == "a" else float(rng.uniform()) for name in names}
        study.add_trial(create_trial(value=loss, params=point, distributions=dict.fromkeys(names, UNIT)))
    place = places(trials_table(study), [])[0]
    r = 1 - 6 * 112 / (13 * (13**2 - 1))
    p = t.sf(r * np.sqrt(11 / (1 - r**2)), 11)
    assert (place.name, place.basis, place.limit) == ("a", "trials", limit)
    assert place.at_high == pytest.approx(1 - 2 * len(names) * p)


@pytest.mark.parametrize(("best", "limit"), [(1, "low"), (2, None), (3, "high")])
def test_the_outermost_of_three_values_is_a_limit(best: int, limit: str | None) -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(1, 3), "b": UNIT}
    place = found(lambda p: 0.3 * abs(p["a"] - best) + (p["b"] - 0.5) ** 2, space=space)["a"]
    assert (place.basis, place.limit, place.best) == ("function", limit, best)


@pytest.mark.parametrize(("best", "limit"), [(2, "low"), (3, None), (22, None), (23, "high")])
def test_a_value_just_an_outer_part_away_from_a_limit_is_at_it(best: int, limit: str | None) -> None:
    """Of 0 to 25 the values 2 and 23 lie 8 % of the range inside; what is lost by a step aside is beyond doubt."""
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 25), "b": UNIT}
    place = found(lambda p: (p["a"] - best) ** 2 / 10 + p["b"], n=60, noise=0.001, space=space)["a"]
    assert (place.basis, place.limit, place.best) == ("function", limit, best)


def test_few_trials_say_nothing() -> None:
    place = found(bowl(1.4), n=8)["a"]
    assert (place.basis, place.limit) == ("nothing", None)


def limits_in_noise(n_studies: int, seed: int) -> int:
    studies = range(seed, seed + n_studies)
    places_ = [place for s in studies for place in found(lambda _: 0.0, n=40, noise=1.0, seed=s).values()]
    return sum(place.limit is not None for place in places_)


def test_noise_hardly_ever_moves_a_limit() -> None:
    assert limits_in_noise(4, 100) == 0


@pytest.mark.slow
def test_noise_moves_a_limit_in_fewer_than_one_case_in_twenty() -> None:
    assert limits_in_noise(60, 0) <= 6  # of 120


def test_choices_that_are_surely_worse_are_told() -> None:
    space: dict[str, BaseDistribution] = {"a": UNIT, "c": CategoricalDistribution(["good", "also", "bad"])}
    place = found(lambda p: (p["a"] - 0.5) ** 2 + (0.6 if p["c"] == "bad" else 0.0), space=space)["c"]
    assert place.worse == ("bad",)
    assert place.best in ("good", "also")


def test_a_conditional_parameter_is_judged_where_it_was_active() -> None:
    space: dict[str, BaseDistribution] = {"kind": CategoricalDistribution(["plain", "special"]), "a": UNIT, "b": UNIT}

    def loss(point: Point) -> float:
        return (point["a"] - 0.5) ** 2 + (point["b"] - 1.4) ** 2 if "b" in point else (point["a"] - 0.5) ** 2

    place = found(loss, space=space, n=120)["b"]
    assert place.limit == "high"
    assert 40 < place.n < 80
