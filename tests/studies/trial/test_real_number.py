"""A metric that is no real number is a failure that says so, and is never cut to a part of itself."""

from __future__ import annotations

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial, TrialState
from selections import MakeSettings

from studies import schema
from studies.schema import Failure
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.trial.preflight.preflight import preflight
from studies.trial.rungs.metrics import Losses
from studies.trial.rungs.real_number import NotReal, guard_metrics, real
from studies.trial.training import never

LOGS = ("model._target_=user_state.Logs", "budget.amount=1")
REFUSED = {
    "complex": "val_loss is complex ((1+2j)), and a metric is one real number",
    "python_complex": "val_loss is complex ((1+2j)), and a metric is one real number",
    "text": "val_loss is the text '1.5', and a metric is one real number",
    "several": "val_loss is a tensor of 3 elements, and a metric is one real number",
    "sparse": "val_loss is a sparse tensor, and a metric is one real number",
    "quantized": "val_loss is a quantized tensor, and a metric is one real number",
    "meta": "val_loss is a tensor on the device meta, which holds no value, and a metric is one real number",
}


def run(make_settings: MakeSettings, value: str) -> Outcome:
    settings = make_settings(*LOGS, f"+model.value={value}", study="plain")
    return run_trial(FixedTrial({"lr": 0.1}), settings, seed=0, interrupted=never)


@pytest.mark.filterwarnings("ignore")  # torch on quantized and sparse tensors
@pytest.mark.parametrize("value", REFUSED)
def test_what_is_no_real_number_fails_the_trial(make_settings: MakeSettings, value: str) -> None:
    outcome = run(make_settings, value)
    assert (outcome.state, outcome.value) == (TrialState.FAIL, None)
    assert outcome.attributes[schema.FAILURE_MESSAGE] == f"NotReal: {REFUSED[value]}"


@pytest.mark.filterwarnings("ignore:You called:UserWarning")  # Lightning converts an integer
@pytest.mark.parametrize(("value", "expected"), [("plain", 1.5), ("bool", 1.0), ("integer", 3.0)])
def test_a_real_number_of_any_type_is_a_value(make_settings: MakeSettings, value: str, expected: float) -> None:
    assert run(make_settings, value).value == expected


def test_a_half_that_overflows_is_divergence(make_settings: MakeSettings) -> None:
    assert run(make_settings, "half").attributes[schema.FAILURE] is Failure.DIVERGED


@pytest.mark.parametrize("value", ["huge", "none"])
def test_what_lightning_refuses_fails_the_trial_too(make_settings: MakeSettings, value: str) -> None:
    outcome = run(make_settings, value)
    assert outcome.state == TrialState.FAIL
    assert outcome.attributes[schema.FAILURE] is Failure.ERROR


def test_a_first_batch_shows_a_complex_metric(make_settings: MakeSettings) -> None:
    (problem,) = preflight(make_settings(*LOGS, "+model.value=complex", study="plain"))
    assert problem.key == "objective.metric"
    assert problem.complaint == "is val_loss, which the module logs as complex ((1+2j))"


def test_a_number_is_read_as_a_float_and_all_else_refused() -> None:
    assert real("m", torch.tensor(2.5)) == 2.5
    assert math.isnan(real("m", torch.tensor(math.nan)))
    assert real("m", np.float32(2.5)) == real("m", Fraction(5, 2)) == real("m", Decimal("2.5")) == 2.5
    for value in (1j, np.complex64(1j), np.complex128(1), torch.tensor(1j), "1", None, 10**400, [1.0]):
        with pytest.raises(NotReal, match="m is "):
            real("m", value)


@pytest.mark.usefixtures("user_modules")
def test_a_guarded_module_can_be_copied_and_pickled() -> None:
    from user_modules import Plain

    guard_metrics(module := Plain(), ["val_loss"])
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.log.args[0].__self__ is other
        with pytest.raises(NotReal):
            other.log("val_loss", 1j)


def test_the_refusal_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(NotReal("m", "complex")))
    assert (error.name, str(error)) == ("m", "m is complex, and a metric is one real number")


def test_a_complex_loss_is_no_objective_but_may_be_one_of_a_module_that_steps_itself() -> None:
    loss = torch.tensor(1 + 2j)
    losses = Losses(averages=False)
    losses.add(loss, None)  # type: ignore[arg-type]
    assert losses.sum == 3.0
    with pytest.raises(NotReal, match="training_loss is complex"):
        Losses(averages=True).add(loss, None)  # type: ignore[arg-type]
