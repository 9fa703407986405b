from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from studies.config.parameter import Parameter, Value
from studies.search.policy import MAX_MEAN, ChoicePolicy, NumberPolicy, Policy, Rates, begin

LR = Parameter("lr", (), "float", low=1e-5, high=1.0, log=True)
DROPOUT = Parameter("dropout", (), "float", low=0.0, high=0.5)
STEPPED = Parameter("stepped", (), "float", low=0.1, high=0.5, step=0.1)
BATCH = Parameter("batch", (), "power_of_two", low=16, high=512, log=True)
DEPTH = Parameter("depth", (), "int", low=1, high=4)
WIDTH = Parameter("width", (), "int", low=32, high=256, step=32)
HEADS = Parameter("heads", (), "int", low=1, high=12, log=True)
NORM = Parameter("norm", (), "categorical", choices={"none": 0, "batch": 1, "layer": 2})
MIXED_CHOICES = Parameter("mixed", (), "categorical", choices={None: 0, "1": 1, True: 2, 0.5: 3})

NUMBERS = (LR, DROPOUT, STEPPED, BATCH, DEPTH, WIDTH, HEADS)
ROUNDED = (STEPPED, BATCH, DEPTH, WIDTH, HEADS)
CHOICES = (NORM, MIXED_CHOICES)
RATES = Rates(learning_rate=0.2, entropy=0.0)
H = 1e-5


def name(parameter: Parameter) -> str:
    return parameter.name


def trained(parameter: Parameter) -> Policy:
    if parameter.type == "categorical":
        return ChoicePolicy(parameter, tuple(0.7 * i - 1.0 for i in range(len(parameter.choices))))
    return NumberPolicy(parameter, mean=0.8, log_spread=-0.7)


def own(policy: Policy) -> np.ndarray:
    return np.array(policy.logits if isinstance(policy, ChoicePolicy) else [policy.mean, policy.log_spread])


def moved(policy: Policy, i: int, h: float) -> Policy:
    at = own(policy)
    at[i] += h
    if isinstance(policy, ChoicePolicy):
        return replace(policy, logits=tuple(at.tolist()))
    assert isinstance(policy, NumberPolicy)
    return replace(policy, mean=float(at[0]), log_spread=float(at[1]))


def values_of(parameter: Parameter) -> list[Value]:
    return [parameter.from_unit(u) for u in (0.001, 0.2, 0.5, 0.77, 0.999)]


@pytest.mark.parametrize("parameter", [*NUMBERS, *CHOICES], ids=name)
def test_the_gradient_is_the_slope_of_the_log_probability(parameter: Parameter) -> None:
    for policy in (begin(parameter), trained(parameter)):
        for value in values_of(parameter):
            slopes = [
                (moved(policy, i, H).log_ratio(value) - moved(policy, i, -H).log_ratio(value)) / (2 * H)
                for i in range(len(own(policy)))
            ]
            assert policy.gradient(value) == pytest.approx(slopes, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("parameter", [*NUMBERS, *CHOICES], ids=name)
def test_the_gradient_of_the_entropy_is_its_slope(parameter: Parameter) -> None:
    for policy in (begin(parameter), trained(parameter)):
        slopes = [
            (moved(policy, i, H).entropy - moved(policy, i, -H).entropy) / (2 * H) for i in range(len(own(policy)))
        ]
        assert policy.entropy_gradient() == pytest.approx(slopes, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("parameter", [LR, DROPOUT, *CHOICES], ids=name)
def test_the_entropy_is_the_mean_surprise_relative_to_uniform(parameter: Parameter) -> None:
    policy = trained(parameter)
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    ratios = np.array([policy.log_ratio(parameter.from_unit(u)) for u in quantiles])
    assert np.mean(np.exp(ratios)) == pytest.approx(1, abs=1e-3)
    assert policy.entropy == pytest.approx(-np.mean(np.exp(ratios) * ratios), abs=2e-3)
    assert policy.entropy < -0.1


@pytest.mark.parametrize("parameter", [*NUMBERS, *CHOICES], ids=name)
def test_a_policy_begins_uniform(parameter: Parameter) -> None:
    assert begin(parameter).entropy == 0
    for value in values_of(parameter):
        assert begin(parameter).log_ratio(value) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("parameter", [*ROUNDED, *CHOICES], ids=name)
def test_draws_come_with_the_probabilities_that_are_told(parameter: Parameter) -> None:
    policy, rng, n = trained(parameter), np.random.default_rng(3), 4000
    drawn = Counter(policy.draw(rng) for _ in range(n))
    total = 0.0
    for value in {parameter.from_unit(u): None for u in np.linspace(0, 0.9999, 500)}:
        low, high = parameter.cell(value)
        probability = math.exp(policy.log_ratio(value)) * (high - low)
        total += probability
        assert abs(drawn[value] - n * probability) <= 4 * math.sqrt(n * probability * (1 - probability)) + 1
    assert total == pytest.approx(1)


@pytest.mark.parametrize("parameter", [LR, DROPOUT], ids=name)
def test_draws_of_a_float_lie_around_the_mean_on_the_search_scale(parameter: Parameter) -> None:
    policy = NumberPolicy(parameter, mean=0.5, log_spread=math.log(0.1))
    rng = np.random.default_rng(0)
    quantiles = [parameter.cell(policy.draw(rng))[0] for _ in range(2000)]
    assert np.median(quantiles) == pytest.approx(0.6915, abs=0.005)  # the normal distribution function at 0.5


@pytest.mark.parametrize("parameter", [*NUMBERS, *CHOICES], ids=name)
def test_a_step_makes_what_earned_more_likelier_and_what_earned_less_less_likely(parameter: Parameter) -> None:
    policy = trained(parameter)
    for value in values_of(parameter):
        assert policy.step(value, 1.0, RATES).log_ratio(value) > policy.log_ratio(value)
        assert policy.step(value, -1.0, RATES).log_ratio(value) < policy.log_ratio(value)


def test_the_first_step_of_a_choice_is_known() -> None:
    """Twice the learning rate times the gradient: 1 minus a third of the choice, minus a third of the others."""
    after = begin(NORM).step("batch", 1.5, RATES)
    assert isinstance(after, ChoicePolicy)
    assert after.logits == pytest.approx([-2 * 0.2 * 1.5 / 3, 2 * 0.2 * 1.5 * 2 / 3, -2 * 0.2 * 1.5 / 3])


@pytest.mark.parametrize("parameter", [*NUMBERS, *CHOICES], ids=name)
def test_entropy_alone_leads_back_to_the_uniform_policy(parameter: Parameter) -> None:
    policy = trained(parameter)
    for _ in range(2000):
        policy = policy.step(values_of(parameter)[0], 0.0, Rates(learning_rate=0.2, entropy=0.1))
    assert policy.entropy == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("parameter", NUMBERS, ids=name)
def test_values_far_outside_of_a_narrow_policy_do_no_harm(parameter: Parameter) -> None:
    policy: Policy = NumberPolicy(parameter, mean=2.4, log_spread=math.log(0.02))
    for value in (parameter.from_unit(0.0), parameter.from_unit(0.9999)):
        assert policy.log_ratio(value) < math.inf
        assert np.isfinite(policy.gradient(value)).all()
    for _ in range(1000):
        policy = policy.step(parameter.from_unit(0.0), 3.0, RATES)
        assert np.isfinite(own(policy)).all()
    assert own(policy)[0] < 0


@pytest.mark.parametrize("parameter", NUMBERS, ids=name)
def test_one_value_moves_a_policy_by_no_more_than_a_draw_two_spreads_from_its_mean(parameter: Parameter) -> None:
    policy = NumberPolicy(parameter, mean=1.0, log_spread=-2.0)
    after = policy.step(parameter.from_unit(0.0), 1.0, RATES)
    assert after.mean == pytest.approx(policy.mean - 0.2 * 2 * policy.spread)
    assert after.log_spread == pytest.approx(policy.log_spread + 0.2 * 1.5)


def test_no_value_dies_out() -> None:
    number, choice = begin(DROPOUT), begin(NORM)
    for _ in range(3000):
        number, choice = number.step(0.5, 2.0, RATES), choice.step("layer", 2.0, RATES)
    assert own(number)[0] == MAX_MEAN
    assert 1e-6 < choice.log_ratio("layer") < math.log(3)
    assert math.exp(choice.log_ratio("none")) > 1e-6
