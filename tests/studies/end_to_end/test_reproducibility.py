"""What docs/reproducibility.md promises: the same study again, whole or in pieces, and a trial trained again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from trainings import StopsAfter, run

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.selection.chosen import chosen
from studies.storage.slots import read_slots, rules_of
from studies.trial.retraining import train_and_test

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
SLOW = ("random", "gp", "cmaes", "reinforce")
SAMPLERS = ("tpe", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))
PRUNED = ("pruner=median", "pruner.n_startup_trials=2", "pruner.n_warmup_steps=0")
N = 8


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeSettings:
    """A search of eight trials of three epochs, some of which are pruned. Its loader can go on in mid-epoch."""
    fixed = ("launcher=serial", "trainer.accelerator=cpu", "budget.amount=3", "analysis=none", *PRUNED)
    space = ("search_space=lr_batch_size", "search_space.batch_size.high=64", "search_space.batch_size.levels=2")
    return lambda *overrides: make_settings(*fixed, *space, f"n_trials={N}", *overrides)


def ends(trials: list[FrozenTrial]) -> list[Any]:
    """What became of each slot: the point, the values at all rungs, how it ended, and the digest of the training."""
    found = [slot.last for slot in read_slots(trials, N)]
    keys = (schema.SEED, schema.SOURCE, schema.TRAJECTORY, schema.STEPS)
    return [
        (t.state, t.params, t.values, t.intermediate_values, *(t.user_attrs.get(key) for key in keys)) for t in found
    ]


def in_pieces(settings: MakeSettings, *overrides: str, storage: BaseStorage) -> list[FrozenTrial]:
    """The study that asks for fewer trials at first, and is stopped now and then by a signal in mid-training."""
    run(settings(*overrides, "n_trials=3"), storage=storage)
    trials: list[FrozenTrial] = []
    while not rules_of(settings(*overrides)).are_all_finished(trials):
        trials = run(settings(*overrides), storage=storage, signals=StopsAfter(47))
    return trials


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_in_pieces_is_the_study_in_one_piece(digits: MakeSettings, name: str) -> None:
    sampler = (f"sampler={name}", *(("sampler.n_startup_trials=3",) if name in ("tpe", "gp") else ()))
    whole = run(digits(*sampler), storage=InMemoryStorage())
    assert {trial.state for trial in whole} == {TrialState.COMPLETE, TrialState.PRUNED}
    trials = in_pieces(digits, *sampler, storage=InMemoryStorage())
    interrupted = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert len(interrupted) > 1
    assert any(schema.RESUMED_FROM in trial.user_attrs for trial in trials)
    assert ends(trials) == ends(whole)


@pytest.mark.slow
def test_a_study_that_is_run_twice_is_the_same(plain: MakeSettings) -> None:
    """Its loader is torch's own, and it draws dropout and the order of samples from the global generator."""
    drawing = ("sampler=tpe", *PRUNED, "sampler.n_startup_trials=3", f"n_trials={N}", "+model.dropout=0.3")
    first, second = (run(plain(*drawing, "budget.amount=3"), storage=InMemoryStorage()) for _ in range(2))
    assert TrialState.PRUNED in {trial.state for trial in first}
    assert ends(first) == ends(second)


def test_a_trial_that_is_trained_again_has_its_value_to_the_last_digit(digits: MakeSettings) -> None:
    """Also one that was stopped in mid-epoch, and one that was pruned, as far as it had come."""
    settings = digits("sampler=tpe")
    trials = in_pieces(digits, "sampler=tpe", storage=InMemoryStorage())
    ended = [slot.last for slot in read_slots(trials, N)]
    resumed = next(trial for trial in ended if schema.RESUMED_FROM in trial.user_attrs)
    by_state = [next(t for t in ended if t.state == state) for state in (TrialState.COMPLETE, TrialState.PRUNED)]
    for trial in (resumed, *by_state):
        rungs = max(trial.intermediate_values)
        folder = settings.output_dir / "retrain" / f"trial-{trial.number}"
        folder.mkdir(parents=True, exist_ok=True)
        budget = Budget("epochs", rungs, rungs)
        tested = train_and_test(chosen(settings, Choice(trial, Estimate(0.0, n=1))), budget=budget, folder=folder)
        assert tested.value == trial.intermediate_values[rungs]
