from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial, create_trial

from studies.config.parameter import Parameter, ParameterType, Value, label_of

ALMOST_ONE = np.nextafter(1.0, 0.0)


def parameter(kind: ParameterType, low: float = 0.0, high: float = 0.0, **rest: Any) -> Parameter:
    return Parameter(name="x", paths=("model.x",), type=kind, low=low, high=high, **rest)


LOG_FLOAT = parameter("float", 1e-5, 1e-1, log=True)
FLOAT = parameter("float", -2.0, 6.0)
STEPPED = parameter("float", 0.0, 0.5, step=0.1)
INT = parameter("int", 2, 6)
STEPPED_INT = parameter("int", 32, 256, step=32)
LOG_INT = parameter("int", 1, 100, log=True)
POWER = parameter("power_of_two", 16, 256, log=True)
CHOICE = parameter("categorical", choices={"relu": "relu", "none": None, "deep": {"n_layers": 3}})
ALL = [LOG_FLOAT, FLOAT, STEPPED, INT, STEPPED_INT, LOG_INT, POWER, CHOICE]
RANGED = [p for p in ALL if p.type != "categorical"]


def named(p: object) -> str | None:
    return f"{p.type}{' log' if p.log else ''}{' step' if p.step else ''}" if isinstance(p, Parameter) else None


every_type = pytest.mark.parametrize("p", ALL, ids=named)
every_range = pytest.mark.parametrize("p", RANGED, ids=named)


@pytest.mark.parametrize(
    ("p", "distribution"),
    [
        (LOG_FLOAT, FloatDistribution(1e-5, 1e-1, log=True)),
        (STEPPED, FloatDistribution(0.0, 0.5, step=0.1)),
        (STEPPED_INT, IntDistribution(32, 256, step=32)),
        (LOG_INT, IntDistribution(1, 100, log=True)),
        (POWER, IntDistribution(16, 256, log=True)),
        (CHOICE, CategoricalDistribution(("relu", "none", "deep"))),
    ],
    ids=named,
)
def test_values_are_stored_under_the_distribution_of_their_scale(p: Parameter, distribution: Any) -> None:
    assert p.distribution() == distribution


@every_type
def test_every_quantile_gives_a_value_that_the_parameter_and_its_distribution_hold(p: Parameter) -> None:
    for u in [*np.linspace(0, 1, 101)[:-1], ALMOST_ONE]:
        value = p.from_unit(float(u))
        assert p.contains(value)
        create_trial(params={"x": value}, distributions={"x": p.distribution()}, value=0.0)  # refuses what lies outside


@every_range
def test_both_end_points_are_reached(p: Parameter) -> None:
    assert p.from_unit(0.0) == pytest.approx(p.low)
    assert p.from_unit(ALMOST_ONE) == pytest.approx(p.high)


@pytest.mark.parametrize("p", [INT, STEPPED_INT, STEPPED, POWER, CHOICE], ids=named)
def test_each_discrete_value_has_equal_weight(p: Parameter) -> None:
    n_values = len(p.spread(1000))
    counts = Counter(p.from_unit((i + 0.5) / (20 * n_values)) for i in range(20 * n_values))
    assert list(counts.values()) == [20] * n_values


def test_a_log_scale_has_the_quantiles_of_the_log_uniform_law() -> None:
    for u in (0.0, 0.1, 0.25, 0.5, 0.9):
        assert LOG_FLOAT.from_unit(u) == pytest.approx(10 ** (-5 + 4 * u))


def test_a_linear_scale_has_the_quantiles_of_the_uniform_law() -> None:
    assert [FLOAT.from_unit(u) for u in (0.0, 0.25, 0.5)] == [-2.0, 0.0, 2.0]


def test_an_integer_on_a_log_scale_weighs_its_cell_on_that_scale() -> None:
    n = 100_000
    counts = Counter(LOG_INT.from_unit((i + 0.5) / n) for i in range(n))
    for k in (1, 2, 10, 100):
        assert counts[k] / n == pytest.approx(math.log((k + 0.5) / (k - 0.5)) / math.log(100.5 / 0.5), abs=2e-5)


@every_range
def test_a_spread_runs_from_end_to_end(p: Parameter) -> None:
    values = p.spread(3)
    assert (values[0], values[-1]) == (p.low, p.high)
    assert all(p.contains(value) for value in values)


@pytest.mark.parametrize(
    ("p", "n", "values"),
    [
        (LOG_FLOAT, 5, (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
        (FLOAT, 5, (-2.0, 0.0, 2.0, 4.0, 6.0)),
        (FLOAT, 1, (2.0,)),
        (LOG_FLOAT, 1, (1e-3,)),
        (INT, 3, (2, 4, 6)),
        (INT, 1, (4,)),
        (INT, 99, (2, 3, 4, 5, 6)),
        (LOG_INT, 3, (1, 10, 100)),
        (STEPPED_INT, 8, (32, 64, 96, 128, 160, 192, 224, 256)),
        (STEPPED, 2, (0.0, 0.5)),
        (POWER, 3, (16, 64, 256)),
        (POWER, 99, (16, 32, 64, 128, 256)),
        (CHOICE, 99, ("relu", "none", "deep")),
        (CHOICE, 2, ("relu", "none")),
    ],
)
def test_a_spread_is_even_on_the_search_scale(p: Parameter, n: int, values: tuple[Value, ...]) -> None:
    assert p.spread(n) == pytest.approx(values) if p.type != "categorical" else p.spread(n) == values


def test_all_integers_of_a_log_scale_are_given_where_all_are_asked_for() -> None:
    assert LOG_INT.spread(10**6) == LOG_INT.spread(100) == tuple(range(1, 101))


@pytest.mark.parametrize("p", [INT, STEPPED_INT, LOG_INT, POWER], ids=named)
def test_whole_numbers_are_integers_not_floats(p: Parameter) -> None:
    values = [*p.spread(4), *(p.from_unit(u) for u in (0.0, 0.3, 0.99)), p.suggest(FixedTrial({"x": int(p.high)}))]
    assert {type(value) for value in values} == {int}


def test_corners_are_both_ends_of_a_range_and_every_choice() -> None:
    assert LOG_FLOAT.corners() == (1e-5, 1e-1)
    assert POWER.corners() == (16, 256)
    assert CHOICE.corners() == ("relu", "none", "deep")


@pytest.mark.parametrize(
    ("p", "inside", "outside"),
    [
        (LOG_FLOAT, [1e-5, 3e-4, 1e-1], [9e-6, 0.11, "0.01", None, math.nan]),
        (FLOAT, [-2, 0, 6.0], [True, -2.01, math.inf]),
        (STEPPED, [0.0, 0.1, 0.30000000000000004, 0.5], [0.05, 0.6]),
        (INT, [2, 6, 3.0], [1, 7, 2.5, True]),
        (STEPPED_INT, [32, 64, 256], [48, 0, 288]),
        (LOG_INT, [1, 7, 100], [0, 101]),
        (POWER, [16, 64, 256, 64.0], [8, 48, 512, 64.5]),
        (CHOICE, ["relu", "none", "deep"], ["Relu", None, {"n_layers": 3}]),
    ],
    ids=named,
)
def test_a_parameter_knows_the_values_that_it_can_take(p: Parameter, inside: list[Any], outside: list[Any]) -> None:
    assert [value for value in inside if not p.contains(value)] == []
    assert [value for value in outside if p.contains(value)] == []


def test_true_and_one_are_different_choices() -> None:
    flag, number = parameter("categorical", choices={True: True}), parameter("categorical", choices={1: 1})
    assert flag.contains(True)
    assert not flag.contains(1)
    assert number.contains(1)
    assert not number.contains(True)


@every_type
def test_a_trial_is_asked_for_each_value_under_the_parameters_name(p: Parameter) -> None:
    for value in p.spread(5):
        assert p.suggest(FixedTrial({"x": value})) == value


@every_type
def test_what_a_trial_is_asked_for_is_what_the_storage_keeps(p: Parameter) -> None:
    trial = FixedTrial({"x": p.corners()[0]})
    p.suggest(trial)
    assert trial.distributions["x"] == p.distribution()


def test_a_power_of_two_snaps_to_the_nearest_power_on_its_own_scale() -> None:
    snapped = {
        16: 16,
        17: 16,
        22: 16,
        23: 32,
        45: 32,
        46: 64,
        181: 128,
        182: 256,
        256: 256,
    }  # 16·√2 = 22.6, 32·√2 = 45.3
    assert {value: POWER.snap(value) for value in snapped} == snapped
    assert {POWER.snap(value) for value in range(16, 257)} == {16, 32, 64, 128, 256}


@pytest.mark.parametrize("p", [p for p in ALL if p is not POWER], ids=named)
def test_other_types_are_not_snapped(p: Parameter) -> None:
    assert p.snap(p.corners()[-1]) == p.corners()[-1]


@pytest.mark.parametrize("value", [17, 48, 100, 255])
def test_a_power_of_two_never_gives_another_number(value: int) -> None:
    with pytest.raises(ValueError, match=f"x is {value}, which is no power of two"):
        POWER.suggest(FixedTrial({"x": value}))


def test_only_a_choice_that_writes_a_mapping_replaces_a_sub_config() -> None:
    assert CHOICE.replaces_subconfig
    assert not parameter("categorical", choices={"a": "a", "b": [1, 2]}).replaces_subconfig
    assert not LOG_FLOAT.replaces_subconfig


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter("x", (), "float", low=-1.0, high=3.0),
        Parameter("x", (), "float", low=1e-5, high=1.0, log=True),
        Parameter("x", (), "float", low=0.1, high=0.75, step=0.2),
        Parameter("x", (), "float", low=2.0, high=2.0),
        Parameter("x", (), "float", low=2.0, high=2.0, log=True),
        Parameter("x", (), "int", low=1, high=4),
        Parameter("x", (), "int", low=3, high=17, step=4),
        Parameter("x", (), "int", low=1, high=12, log=True),
        Parameter("x", (), "int", low=7, high=7),
        Parameter("x", (), "power_of_two", low=16, high=512, log=True),
        Parameter("x", (), "categorical", choices={None: 0, True: 1, "1": 2, 0.5: 3}),
    ],
    ids=str,
)
def test_a_values_cell_holds_the_quantiles_that_give_it(parameter: Parameter) -> None:
    cells = set()
    for u in (np.arange(1000) + 0.5) / 1000:
        low, high = parameter.cell(parameter.from_unit(u))
        assert low - 1e-9 <= u <= high + 1e-9
        cells.add((low, high))
    if all(high > low for low, high in cells):
        assert sum(high - low for low, high in cells) == pytest.approx(1)


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0.0, 1e-12, 1e-13), (0.0, 1e-299, 1e-300), (1e12, 1e12 + 1, 0.1), (-0.5, 0.5, 0.1)]
)
def test_a_step_of_any_size_gives_each_of_its_values_once(low: float, high: float, step: float) -> None:
    stepped = parameter("float", low, high, step=step)
    levels = stepped.spread(11)
    assert len(set(levels)) == 11
    assert (levels[0], levels[-1]) == (low, high)
    assert [stepped.from_unit((i + 0.5) / 11) for i in range(11)] == list(levels)
    for i, level in enumerate(levels):
        assert stepped.contains(level)
        assert stepped.cell(level) == (i / 11, (i + 1) / 11)


def test_levels_that_a_float_cannot_tell_apart_appear_once() -> None:
    narrow = parameter("float", 1.0, 1.0 + 4e-16)
    assert len(set(narrow.spread(11))) == len(narrow.spread(11)) == 3


def test_values_alike_in_six_digits_have_names_of_their_own() -> None:
    near = [(0.12345678,), (0.12345679,), (0.5,)]
    assert [label_of(key, among=near) for key in near] == ["0.12345678", "0.12345679", "0.5"]
    assert label_of((0.12345678,), among=[(0.5,)]) == "0.123457"
