from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from known_functions import additive, centred_product, ishigami
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

import studies.analysis
from studies.analysis.effects import Effect, effects_of, fits_of, get_param_interactions
from studies.errors import BadInput

UNIT = FloatDistribution(0.0, 1.0)
Point = Mapping[str, Any]


def study_of(
    n: int,
    function: Callable[[Point, np.random.Generator], float],
    distributions: Mapping[str, BaseDistribution],
    *,
    source: str | None = "random",
    direction: str = "minimize",
    when: Callable[[Point], list[str]] | None = None,
) -> optuna.Study:
    """A study of `n` random trials; `when` says which parameters are active at a point."""
    rng = np.random.default_rng(0)
    study = optuna.create_study(direction=direction)
    for _ in range(n):
        point = {name: draw(distribution, rng) for name, distribution in distributions.items()}
        if when is not None:
            point = {name: point[name] for name in when(point)}
        study.add_trial(
            create_trial(
                value=float(function(point, rng)),
                params=point,
                distributions={name: distributions[name] for name in point},
                user_attrs={} if source is None else {"source": source},
            )
        )
    return study


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if isinstance(distribution, IntDistribution):
        return int(rng.integers(distribution.low, distribution.high + 1))
    if distribution.log:
        return float(np.exp(rng.uniform(np.log(distribution.low), np.log(distribution.high))))
    return float(rng.uniform(distribution.low, distribution.high))


def by_name(effects: list[Effect]) -> dict[str, Effect]:
    return {effect.name: effect for effect in effects}


def product(point: Point, rng: np.random.Generator) -> float:
    return (point["a"] - 0.5) * (point["b"] - 0.5) + 0.01 * float(rng.standard_normal())


def test_an_interaction_without_main_effects_is_found_and_claimed() -> None:
    found = by_name(get_param_interactions(study_of(80, product, {"a": UNIT, "b": UNIT})))
    assert list(found) == ["a", "b", "a*b", "(noise)", "(unexplained)"]
    pair = found["a*b"]
    assert pair.estimate.value == pytest.approx(1.0, abs=0.03)
    assert (pair.verdict, pair.reasons, pair.is_claimed) == ("ok", (), True)
    assert pair.second == pytest.approx(1.0, abs=0.05)
    assert found["a"].estimate.value < 0.02
    assert not found["a"].is_claimed
    assert (pair.n_used, pair.n_pruned, pair.n_failed, pair.random_share) == (80, 0, 0, 1.0)


def test_it_is_offered_beside_optuna_s_importances() -> None:
    assert studies.analysis.get_param_interactions is get_param_interactions


def test_nothing_is_claimed_without_a_verdict_ok() -> None:
    unknown = by_name(get_param_interactions(study_of(80, product, {"a": UNIT, "b": UNIT}, source=None)))
    assert unknown["a*b"].estimate.lo > 0.5
    assert unknown["a*b"].verdict == "caution"
    assert not unknown["a*b"].is_claimed
    known = by_name(get_param_interactions(study_of(80, product, {"a": UNIT, "b": UNIT}, source=None), source="qmc"))
    assert known["a*b"].is_claimed


def test_maximising_and_minimising_give_the_same_indices() -> None:
    low = get_param_interactions(study_of(60, product, {"a": UNIT, "b": UNIT}))
    high = get_param_interactions(
        study_of(60, lambda p, r: -product(p, r), {"a": UNIT, "b": UNIT}, direction="maximize")
    )
    assert [e.estimate.value for e in low] == pytest.approx([e.estimate.value for e in high], abs=0.001)


def test_params_and_target_can_be_chosen() -> None:
    study = study_of(60, product, {"a": UNIT, "b": UNIT, "c": UNIT})
    found = by_name(get_param_interactions(study, params=["c", "a"], target=lambda trial: trial.params["c"] ** 2))
    assert found["c"].estimate.value == pytest.approx(1.0, abs=0.01)
    assert "b" not in found
    with pytest.raises(BadInput, match=r"params\.aa is no parameter"):
        get_param_interactions(study, params=["aa"])


def conditional(point: Point, rng: np.random.Generator) -> float:
    value = (np.log10(point["lr"]) + 2.5) ** 2
    if point["optimizer"] == "sgd":
        value += 0.5 + (point["momentum"] - 0.5) * (np.log10(point["lr"]) + 2.5)
    return float(value + 0.02 * rng.standard_normal())


def test_a_conditional_parameter_is_judged_where_it_is_active_and_labelled() -> None:
    distributions = {
        "optimizer": CategoricalDistribution(("sgd", "adam")),
        "lr": FloatDistribution(1e-4, 1e-1, log=True),
        "momentum": UNIT,
    }
    everywhere = ["optimizer", "lr"]
    study = study_of(
        240,
        conditional,
        distributions,
        when=lambda p: [*everywhere, "momentum"] if p["optimizer"] == "sgd" else everywhere,
    )
    found = by_name(get_param_interactions(study))
    # with z uniform in [-1.5, 1.5] and m in [-.5, .5]: Var z² = .45, Var(m z) = 1/12 · .75
    pair = found["lr*momentum"]
    assert pair.estimate.value == pytest.approx((0.75 / 12) / (0.45 + 0.75 / 12), abs=0.03)
    assert pair.scope == ("momentum",)
    assert pair.n_used < 240
    assert found["lr"].scope == ()
    assert found["lr"].n_used == 240
    assert "optimizer*momentum" not in found
    assert "momentum*optimizer" not in found


def constant(point: Point, rng: np.random.Generator) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("study", "reason"),
    [
        (study_of(40, constant, {"a": UNIT, "b": UNIT}), "the same value"),
        (study_of(6, product, {"a": UNIT, "b": UNIT}), "6 trials for 2 parameters"),
        (study_of(0, product, {"a": UNIT, "b": UNIT}), "no trial has a value"),
        (
            study_of(30, lambda p, r: r.normal(), {"a": FloatDistribution(0.5, 0.5)}),
            "no parameter varies in all trials",
        ),
    ],
    ids=["constant", "few", "none", "single value"],
)
def test_what_cannot_be_analysed_gets_a_verdict(study: optuna.Study, reason: str) -> None:
    effects = get_param_interactions(study)
    assert effects
    for effect in effects:
        assert effect.verdict == "unreliable"
        assert any(reason in said for said in effect.reasons)
        assert math.isnan(effect.estimate.value)


def pruned(i: int, *, reports: bool) -> FrozenTrial:
    return create_trial(
        state=TrialState.PRUNED,
        params={"a": i / 50, "b": (i * 7 % 50) / 50},
        distributions={"a": UNIT, "b": UNIT},
        intermediate_values={1: i / 50} if reports else {},
        user_attrs={"source": "random"},
    )


def test_all_pruned_is_analysed_at_the_common_rung_or_told() -> None:
    study = optuna.create_study()
    study.add_trials([pruned(i, reports=True) for i in range(50)])
    found = by_name(get_param_interactions(study))
    assert found["a"].estimate.value == pytest.approx(1.0, abs=0.02)
    silent = optuna.create_study()
    silent.add_trials([pruned(i, reports=False) for i in range(50)])
    assert {effect.verdict for effect in get_param_interactions(silent)} == {"unreliable"}
    with pytest.raises(BadInput, match="value_policy is final"):
        get_param_interactions(study, value_policy="final")


def test_values_that_are_no_numbers_are_left_out() -> None:
    study = study_of(60, product, {"a": UNIT, "b": UNIT})
    study.add_trials([create_trial(value=math.inf, params={"a": 0.5, "b": 0.5}, distributions={"a": UNIT, "b": UNIT})])
    effects = get_param_interactions(study, target=lambda t: math.nan if t.number == 3 else float(t.value or 0))
    assert {(effect.n_used, effect.n_failed) for effect in effects} == {(59, 2)}


def test_duplicated_points_call_for_caution() -> None:
    study = study_of(60, product, {"a": UNIT, "b": UNIT})
    study.add_trials([study.trials[0], study.trials[1]])
    assert {effect.verdict for effect in get_param_interactions(study)} == {"caution"}


def test_noise_that_replicates_tell_does_not_speak_against_the_fit() -> None:
    rng = np.random.default_rng(0)
    study = optuna.create_study()
    for _ in range(60):
        point = {"a": float(rng.random()), "b": float(rng.random())}
        for replicate in range(3):
            value = (point["a"] - 0.5) * (point["b"] - 0.5) / 0.083 + 0.7 * float(rng.standard_normal())
            attributes = {"source": "random", "replicate": replicate}
            study.add_trial(
                create_trial(value=value, params=point, distributions={"a": UNIT, "b": UNIT}, user_attrs=attributes)
            )
    pair = by_name(get_param_interactions(study))["a*b"]
    assert pair.q2 < 0.8
    assert pair.verdict == "ok"
    assert pair.is_claimed


def test_estimators_that_differ_call_for_caution_on_that_effect() -> None:
    fit = fits_of(ishigami().table(60, noise=0.1, seed=0), seed=0)[0]
    assert fit.chaos is not None
    effects = by_name(effects_of([fit], seed=0))
    for effect in effects.values():
        width = effect.estimate.hi - effect.estimate.lo
        if effect.params and abs(effect.estimate.value - effect.second) > max(0.05, width / 2):
            assert effect.verdict != "ok"
            assert any("polynomial chaos" in reason for reason in effect.reasons)


def test_additive_functions_claim_nothing() -> None:
    effects = effects_of(fits_of(additive().table(150, noise=0.2, seed=5), seed=0), seed=0)
    assert not any(effect.is_claimed for effect in effects)


def test_pairs_of_a_fit_are_named_in_the_order_of_the_parameters() -> None:
    effects = effects_of(fits_of(centred_product().table(60, noise=0.1, seed=0), seed=0), seed=0)
    assert [e.name for e in effects if e.order == 2] == ["x1*x2", "x1*x3", "x2*x3"]


@pytest.mark.parametrize("seed", range(6))
def test_replicated_noise_is_never_ok(seed: int) -> None:
    rng = np.random.default_rng(seed)
    study = optuna.create_study()
    distributions = {"a": IntDistribution(0, 6), "b": IntDistribution(0, 5)}
    for a, b, replicate in itertools.product(range(7), range(6), range(3)):
        attributes = {"source": "grid", "replicate": replicate}
        point = {"a": a, "b": b}
        study.add_trial(
            create_trial(value=float(rng.normal()), params=point, distributions=distributions, user_attrs=attributes)
        )
    assert {effect.verdict for effect in get_param_interactions(study)} == {"unreliable"}


def test_what_failed_speaks_against_a_result() -> None:
    study = study_of(80, product, {"a": UNIT, "b": UNIT})
    failed = [create_trial(state=TrialState.FAIL, params={"a": 0.5, "b": 0.5}, distributions={"a": UNIT, "b": UNIT})]
    study.add_trials(failed * 8)
    assert {effect.verdict for effect in get_param_interactions(study)} == {"caution"}
    study.add_trials(failed * 40)
    assert {effect.verdict for effect in get_param_interactions(study)} == {"unreliable"}


def test_a_cap_is_seen_at_either_end_of_a_target() -> None:
    study = study_of(80, lambda p, r: max(-0.05, product(p, r)), {"a": UNIT, "b": UNIT}, direction="maximize")
    told = [
        effects[0].reasons for effects in (get_param_interactions(study), get_param_interactions(study, target=value))
    ]
    assert told[0] == told[1]
    assert "as if capped" in told[0][0]


def value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


@pytest.mark.slow
def test_more_trials_than_can_be_fitted_are_sampled_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.analysis.fit.MAX_TRIALS", 60)
    trials = additive().table(150, noise=0.1, seed=0)
    order = np.random.default_rng(1).permutation(150)
    shuffled = replace(trials, x=trials.x[order], y=trials.y[order])
    first, second = (fits_of(each, seed=0)[0] for each in (trials, shuffled))
    assert (len(first.table.y), first.n_trials, len(first.whole.y)) == (60, 150, 150)
    assert first.sobol is not None
    assert second.sobol is not None
    assert first.sobol.mains == second.sobol.mains
