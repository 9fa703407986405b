"""What was saved at the full batch is never gone on with at half of it, nor the other way round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
HALF = {"batch_size": 10, "accumulate_grad_batches": 2}
HALVE = ("out_of_memory.retry=halve_batch", "out_of_memory.batch_size=model.batch_size")
SAVES = ("checkpoint.every_s=1e-9", "checkpoint.keep_best=0", "budget.amount=4")


@pytest.fixture
def hungry(make_settings: MakeSettings) -> MakeSettings:
    """Five steps an epoch, the batch of 20 too large from step 7 on."""
    target = ("launcher=serial", "model._target_=user_ranks.Hungry", "model.batch_size=20", "model.at=7", *SAVES)
    return lambda *overrides: make_settings(*target, *HALVE, *overrides, study="plain")


def run(
    settings: StudySettings, study: optuna.Study, *, repeated: FrozenTrial | None = None, n_questions: int | None = None
) -> tuple[Outcome, FrozenTrial]:
    """One trial, interrupted at the question of that number (one a batch, of validation too, and epoch)."""
    left = iter(range(10**9 if n_questions is None else n_questions))
    stop = lambda: "SIGTERM" if next(left, None) is None else None  # noqa: E731
    study.enqueue_trial({"lr": 0.05})
    trial = study.ask()
    outcome = run_trial(trial, settings, seed=3, interrupted=stop, repeated=repeated)
    study.tell(trial, outcome.value, state=outcome.state)
    return outcome, study.trials[-1]


def interrupted_at_half(settings: StudySettings, study: optuna.Study) -> FrozenTrial:
    """A trial that ran out of memory at the full batch, and was stopped in its second go after a rung."""
    outcome, trial = run(settings, study, n_questions=40)
    assert outcome.state == TrialState.FAIL
    assert trial.user_attrs[schema.BATCH_HALVED] == HALF
    assert trial.user_attrs[schema.CHECKPOINT]["rung"] >= 1
    return trial


def test_the_second_go_begins_anew_and_drops_what_the_first_had_saved(hungry: MakeSettings) -> None:
    settings, study = hungry(), optuna.create_study()
    whole, _ = run(hungry("+model.fits=10"), study)
    outcome, trial = run(settings, study)
    assert outcome.state == TrialState.COMPLETE
    assert outcome.value == whole.value
    assert outcome.attributes[schema.STEPS] == 20
    assert trial.user_attrs[schema.CHECKPOINT]["steps"] == 15, "its own, saved at half the batch"
    assert not {schema.RESUMED_FROM, schema.RESTARTED} & set(trial.user_attrs)


def test_a_retry_that_runs_out_of_memory_after_it_went_on_tells_that_it_began_anew(hungry: MakeSettings) -> None:
    settings, study = hungry("model.at=12"), optuna.create_study()
    _, first = run(settings, study, n_questions=14)
    assert first.user_attrs[schema.CHECKPOINT]["rung"] >= 1
    assert schema.BATCH_HALVED not in first.user_attrs
    outcome, retry = run(settings, study, repeated=first)
    assert outcome.state == TrialState.COMPLETE
    assert outcome.attributes[schema.STEPS] == 20
    assert retry.user_attrs[schema.BATCH_HALVED] == HALF
    assert retry.user_attrs[schema.RESUMED_FROM] is None
    assert retry.user_attrs[schema.RESTARTED] == "the checkpoint of trial 0 was saved at another batch size"
    assert list(retry.intermediate_values) == [1, 2, 3, 4]
    assert not Path(first.user_attrs[schema.CHECKPOINT]["path"]).exists()


def test_a_retry_goes_on_from_what_was_saved_at_half_the_batch(hungry: MakeSettings) -> None:
    settings, study = hungry(), optuna.create_study()
    whole, _ = run(settings, study)
    halved = interrupted_at_half(settings, study)
    outcome, retry = run(settings, study, repeated=halved)
    assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == halved.number
    assert retry.user_attrs[schema.BATCH_HALVED] == HALF
    assert outcome.value == whole.value
    assert outcome.attributes[schema.STEPS] == 20


def test_a_retry_at_the_full_batch_does_not_go_on_from_half_of_it(hungry: MakeSettings) -> None:
    settings, study = hungry(), optuna.create_study()
    halved = interrupted_at_half(settings, study)
    full = hungry("out_of_memory.retry=none", "+model.fits=20")
    outcome, retry = run(full, study, repeated=halved)
    assert outcome.attributes[schema.STEPS] == 20
    assert schema.RESUMED_FROM not in retry.user_attrs
    assert retry.user_attrs[schema.RESTARTED] == "the checkpoint of trial 0 was saved at another batch size"
