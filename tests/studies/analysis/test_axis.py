from __future__ import annotations

import math

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.analysis.axis import Axis, axis_of, levelled
from studies.analysis.gaussian_process.kernel import kernel_of

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-1.0, 3.0),
    "log": FloatDistribution(1e-5, 1e-1, log=True),
    "step": FloatDistribution(0.0, 0.5, step=0.1),
    "int": IntDistribution(1, 6),
    "int_step": IntDistribution(32, 256, step=32),
    "log_int": IntDistribution(1, 40, log=True),
    "wide_int": IntDistribution(1, 1000),
    "categorical": CategoricalDistribution(("relu", "tanh", "gelu")),
}


def axis(name: str) -> Axis:
    found = axis_of(name, [DISTRIBUTIONS[name]])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "value", "encoded"),
    [("log", 1e-3, -3.0), ("float", 0.5, 0.5), ("int", 4, 4.0), ("categorical", "tanh", 1.0), ("log_int", 10, 1.0)],
)
def test_a_value_is_encoded_on_its_search_scale_and_back(name: str, value: object, encoded: float) -> None:
    assert axis(name).encode(value) == pytest.approx(encoded)
    decoded = axis(name).decode(encoded)
    assert decoded == pytest.approx(value) if isinstance(value, float) else decoded == value


@pytest.mark.parametrize(("low", "high"), [(1e-3, 0.5), (1e-5, 0.3), (0.1, 0.7), (3e-4, 0.9)])
def test_the_ends_of_the_unit_interval_are_exactly_those_of_the_axis(low: float, high: float) -> None:
    for log in (False, True):
        own = axis_of("x", [FloatDistribution(low, high, log=log)])
        assert own is not None
        assert own.at(np.array([0.0, 1.0])).tolist() == [own.low, own.high]
        assert (own.value_at(0.0), own.value_at(1.0)) == (own.decode(own.low), own.decode(own.high))
        assert own.unit(own.at(np.array([0.3, 0.8]))) == pytest.approx([0.3, 0.8])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_basis_functions_are_orthonormal_and_have_zero_mean_under_the_axis_s_measure(name: str) -> None:
    nodes, weights = axis(name).nodes()
    basis = axis(name).basis(nodes)
    assert weights.sum() == pytest.approx(1)
    assert weights @ basis == pytest.approx(np.zeros(basis.shape[1]), abs=1e-10)
    assert basis.T @ (weights[:, None] * basis) == pytest.approx(np.eye(basis.shape[1]), abs=1e-9)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_kernel_has_unit_trace_and_zero_mean_at_any_length(name: str) -> None:
    nodes, weights = axis(name).nodes()
    basis = axis(name).basis(nodes)
    for log_length in (-3.0, -0.7, 1.6):
        c, _ = kernel_of(axis(name)).covariance(log_length)
        matrix = basis @ c @ basis.T
        assert weights @ np.diag(matrix) == pytest.approx(1)
        assert weights @ matrix == pytest.approx(np.zeros(len(nodes)), abs=1e-8)
        assert np.linalg.eigvalsh(c).min() > -1e-10


def test_a_kernel_s_slope_is_the_derivative_by_the_log_length() -> None:
    kernel = kernel_of(axis("float"))
    step = 1e-5
    numeric = (kernel.covariance(-0.5 + step)[0] - kernel.covariance(-0.5 - step)[0]) / (2 * step)
    assert kernel.covariance(-0.5)[1] == pytest.approx(numeric, abs=1e-6)


def test_choices_of_a_categorical_are_equally_far_apart() -> None:
    nodes, _ = axis("categorical").nodes()
    c, slope = kernel_of(axis("categorical")).covariance(0.0)
    matrix = axis("categorical").basis(nodes) @ c @ axis("categorical").basis(nodes).T
    assert matrix == pytest.approx(np.eye(3) * 1.5 - 0.5, abs=1e-12)
    assert not slope.any()


def test_a_log_integer_weighs_its_values_by_their_width_on_the_log_scale() -> None:
    weights = axis("log_int").weights
    assert weights[0] == pytest.approx(math.log(1.5 / 0.5) / math.log(40.5 / 0.5))
    assert sum(weights) == pytest.approx(1)


def test_powers_of_two_have_equal_weight_whatever_is_stored_between_them() -> None:
    found = axis_of("batch_size", [IntDistribution(16, 512, log=True)], is_power_of_two=True)
    assert found is not None
    assert found.values == (16, 32, 64, 128, 256, 512)
    assert found.weights == (1 / 6,) * 6
    assert (found.encode(64), found.decode(6.1)) == (6.0, 64)


@pytest.mark.parametrize("tried", [FloatDistribution(0.0, 8.0), IntDistribution(0, 8)])
def test_powers_of_two_that_trials_had_from_zero_on_are_ordinary_numbers(tried: BaseDistribution) -> None:
    assert axis_of("size", [tried], is_power_of_two=True) == axis_of("size", [tried])


def test_many_integers_are_a_continuum_that_reaches_half_a_step_beyond_both_ends() -> None:
    assert (axis("wide_int").kind, axis("wide_int").low, axis("wide_int").high) == ("continuous", 0.5, 1000.5)


def test_ranges_that_differ_between_trials_are_joined_and_kinds_that_differ_are_refused() -> None:
    joined = axis_of("lr", [FloatDistribution(1e-4, 1e-2, log=True), FloatDistribution(1e-3, 1e-1, log=True)])
    assert joined is not None
    assert (joined.low, joined.high) == pytest.approx((-4, -1))
    assert axis_of("lr", [FloatDistribution(1e-4, 1e-2, log=True), FloatDistribution(1e-4, 1e-2)]) is None
    assert axis_of("lr", [FloatDistribution(0, 1), IntDistribution(0, 1)]) is None
    assert axis_of("k", [IntDistribution(0, 20, step=5), IntDistribution(2, 22, step=5)]) is None


def test_an_axis_with_one_value_is_single_and_lies_at_zero() -> None:
    single = levelled("depth", "discrete", "linear", [3.0], [3])
    assert single.is_single
    assert single.unit(np.array([3.0, 3.0])).tolist() == [0.0, 0.0]


def test_degrees_count_polynomials_and_are_one_for_contrasts() -> None:
    assert axis("int").degrees() == (1, 2, 3, 4, 5)
    assert axis("categorical").degrees() == (1, 1)
    assert len(axis("float").degrees()) == axis("float").basis(np.array([0.5])).shape[1]


@pytest.mark.parametrize(
    ("choices", "kind", "scale"),
    [
        ((64, 16, 32), "discrete", "log2"),
        ((1e-4, 1e-3, 1e-1), "discrete", "log10"),
        ((1, 2, 3), "discrete", "linear"),
        ((0, 10, 1000), "discrete", "linear"),
        ((True, False), "categorical", "linear"),
        ((1, 2), "categorical", "linear"),
        (("16", 32, 64), "categorical", "linear"),
        ((None, 1, 2), "categorical", "linear"),
        ((0.1, 1.0, math.inf), "categorical", "linear"),
    ],
)
def test_a_categorical_of_numbers_keeps_their_order(choices: tuple[object, ...], kind: str, scale: str) -> None:
    found = axis_of("batch_size", [CategoricalDistribution(choices)])
    assert found is not None
    assert (found.kind, found.scale) == (kind, scale)
    assert found.weights == pytest.approx((1 / len(choices),) * len(choices))
    for choice in choices:
        assert found.decode(found.encode(choice)) == choice
