"""The ledger says what the rule says, whatever happens and however often it is read on the way."""

from __future__ import annotations

import random

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.schema import fills_a_slot
from studies.storage.claim import Ledger
from studies.storage.slots import Chains, Rules, Slot, read_slots

N_TRIALS = 6


def something_happens(study: optuna.Study, rng: random.Random) -> None:
    """A trial begins, one ends in whatever way, one is repeated, perhaps twice, or one comes from another study."""
    trials = study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    match rng.choice(["begin", "end", "end", "repeat", "import"]):
        case "end" if running:
            trial, state = rng.choice(running), rng.choice([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
            study.tell(trial.number, 1.0 if state == TrialState.COMPLETE else None, state=state)
        case "repeat" if failed:
            repeated = rng.choice(failed)
            attributes = {schema.RETRY_OF: repeated.number, schema.ATTEMPT: rng.choice([0, 1, 2])}
            study.enqueue_trial({}, user_attrs=attributes)
        case "import":
            origin = {"study": "other", "trial": len(trials)}
            study.add_trial(create_trial(value=1.0, user_attrs={schema.IMPORTED_FROM: origin}))
        case _:
            study.ask()


def slots_by_the_rule(trials: list[FrozenTrial]) -> list[Slot]:
    """The rule as it is written, over all trials at once."""
    firsts = [trial for trial in trials if fills_a_slot(trial)][:N_TRIALS]
    found = []
    for index, first in enumerate(firsts):
        chain = [first]
        while True:
            of_last = [t for t in trials if t.user_attrs.get(schema.RETRY_OF) == chain[-1].number]
            if not of_last:
                break
            chain.append(of_last[0])
        found.append(Slot(index, tuple(chain)))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_ledger_agrees_with_the_rule_at_every_moment(seed: int) -> None:
    rng, study = random.Random(seed), optuna.create_study()
    rules = Rules(N_TRIALS, max_retries=1, redraws=bool(seed % 2))
    ledger = Ledger(rules)
    for _ in range(80):
        something_happens(study, rng)
        if rng.random() < 0.5:
            continue
        trials = study.get_trials(deepcopy=False)
        ledger.read(trials)
        slots = slots_by_the_rule(trials)
        assert read_slots(trials, N_TRIALS) == slots
        assert [numbers(slot.chain) for slot in ledger.open_slots()] == [
            numbers(slot.chain) for slot in slots if not rules.is_finished(slot)
        ]
        assert ledger.n_begun == len(slots)
        for trial in trials:
            slot = ledger.slot_ending_in(trial.number)
            assert (slot.index if slot else None) == next(
                (slot.index for slot in slots if slot.last.number == trial.number), None
            )


def numbers(chain: tuple[FrozenTrial, ...]) -> list[int]:
    return [trial.number for trial in chain]


def test_a_trial_fills_the_slot_of_its_rank_or_the_one_that_its_record_names() -> None:
    study, chains = optuna.create_study(), Chains()
    study.ask()
    chains.read(study.trials)
    study.tell(0, state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={schema.RETRY_OF: 0, schema.SLOT: 0})
    study.ask()
    study.ask()
    chains.read(study.trials)
    assert [chains.slot_of(trial) for trial in study.trials] == [0, 0, 1]
