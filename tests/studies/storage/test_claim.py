from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from studies import schema
from studies.schema import Failure, failure_of
from studies.storage.claim import Claim, Claims, Turn
from studies.storage.lease import Watch
from studies.storage.slots import Rules, read_slots


def a_study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def claims_of(study: optuna.Study, n_trials: int, *, max_retries: int = 1, redraws: bool = False) -> Claims:
    watch = Watch(study._storage, lease_s=60)
    return Claims(study, rules=Rules(n_trials, max_retries, redraws), watch=watch)


def claimed(claims: Claims) -> Claim:
    turn = claims.next()
    assert isinstance(turn, Claim)
    turn.trial.suggest_float("x", 0, 1)
    return turn


def fail(study: optuna.Study, claim: Claim, failure: Failure = Failure.ERROR, message: str = "ValueError: no") -> None:
    claim.trial.set_user_attr(schema.FAILURE, failure)
    claim.trial.set_user_attr(schema.FAILURE_MESSAGE, message)
    study.tell(claim.trial, state=TrialState.FAIL)


def test_slots_are_filled_one_by_one_and_then_there_is_nothing_to_do() -> None:
    study = a_study()
    claims = claims_of(study, 3)
    for slot in range(3):
        claim = claimed(claims)
        assert claim.slot == slot
        study.tell(claim.trial, 1.0)
    assert claims.next() is Turn.LEAVE
    assert len(study.trials) == 3


def test_while_others_run_the_rest_there_is_nothing_to_claim() -> None:
    study = a_study()
    claims = claims_of(study, 2)
    running = claimed(claims)
    study.tell(claimed(claims).trial, 1.0)
    assert claims.next() is Turn.WAIT
    study.tell(running.trial, 1.0)
    assert claims.next() is Turn.LEAVE


def test_a_failed_trial_is_tried_again_at_the_same_point_in_the_same_slot() -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=2)
    first = claimed(claims)
    fail(study, first)
    second = claimed(claims)
    assert second.trial.params == first.trial.params
    assert (second.slot, second.attempt) == (0, 1)
    assert second.trial.user_attrs[schema.RETRY_OF] == first.trial.number
    study.tell(second.trial, 1.0)
    assert claims.next() is Turn.LEAVE


def test_a_point_and_its_checkpoint_outlive_retries_that_die_before_they_begin() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    claims = claims_of(study, 1, max_retries=5)
    first = claimed(claims)
    first.trial.set_user_attr(schema.CHECKPOINT, {"path": "there"})
    fail(study, first, Failure.KILLED)
    for attempt in (1, 2):  # killed between their claim and their first parameter
        turn = claims.next()
        assert isinstance(turn, Claim)
        assert (turn.attempt, turn.repeated and turn.repeated.number) == (attempt, first.trial.number)
        fail(study, turn, Failure.KILLED)
    last = claimed(claims)
    assert last.trial.params == first.trial.params
    assert (last.attempt, last.repeated and last.repeated.number) == (3, first.trial.number)


def test_a_point_queued_by_hand_outlives_a_claim_that_dies_before_it_has_drawn() -> None:
    study = a_study()
    study.enqueue_trial({"x": 0.25})
    claims = claims_of(study, 1)
    turn = claims.next()
    assert isinstance(turn, Claim)
    fail(study, turn, Failure.KILLED)
    assert claimed(claims).trial.params == {"x": 0.25}


@pytest.mark.parametrize("left", [schema.CHECKPOINT, schema.RESTARTED, schema.BATCH_HALVED])
def test_a_retry_takes_up_the_newest_work_that_was_left(left: str) -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=5)
    first = claimed(claims)
    first.trial.set_user_attr(schema.CHECKPOINT, {"path": "there"})
    fail(study, first)
    second = claimed(claims)
    second.trial.set_user_attr(left, None)
    fail(study, second)
    third = claimed(claims)
    assert third.repeated is not None
    assert third.repeated.number == second.trial.number


def test_a_new_point_takes_up_nothing() -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=0, redraws=True)
    fail(study, claimed(claims))
    redrawn = claims.next()
    assert isinstance(redrawn, Claim)
    assert redrawn.repeated is None
    fail(study, redrawn)  # before it has drawn anything: its successor is a new point too
    again = claimed(claims)
    assert again.repeated is None


def test_in_a_grid_a_point_that_fails_for_good_is_its_slots_result() -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=1, redraws=False)
    fail(study, claimed(claims))
    fail(study, claimed(claims))
    assert claims.next() is Turn.LEAVE
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2


def test_in_a_search_another_point_takes_the_place_of_one_that_fails_for_good() -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=1, redraws=True)
    fail(study, claimed(claims))
    second = claimed(claims)
    fail(study, second)
    third = claimed(claims)
    assert third.trial.params != second.trial.params
    assert (third.slot, third.attempt) == (0, 0)
    assert third.trial.user_attrs[schema.REDRAWN] is True


def test_an_interruption_does_not_count_as_an_attempt() -> None:
    study = a_study()
    claims = claims_of(study, 1, max_retries=0)
    for _ in range(3):
        claim = claimed(claims)
        assert claim.attempt == 0
        fail(study, claim, Failure.KILLED, f"{schema.INTERRUPTED} (SIGINT)")
    again = claimed(claims)
    assert again.trial.params == study.trials[0].params


def test_a_pruned_or_diverged_trial_finishes_its_slot() -> None:
    study = a_study()
    claims = claims_of(study, 2)
    study.tell(claimed(claims).trial, state=TrialState.PRUNED)
    diverged = claimed(claims)
    diverged.trial.set_user_attr(schema.FAILURE, Failure.DIVERGED)
    study.tell(diverged.trial, state=TrialState.PRUNED)
    assert claims.next() is Turn.LEAVE
    assert [failure_of(trial) for trial in study.trials] == [None, Failure.DIVERGED]


def test_a_surplus_claim_is_void_and_costs_no_slot() -> None:
    study = a_study()
    claims = claims_of(study, 1)
    ours = claimed(claims)
    study.ask()  # another worker that asked at the same moment
    surplus = study.ask()
    surplus.set_user_attr(schema.VOID, True)
    study.tell(surplus, state=TrialState.FAIL)
    study.tell(ours.trial, 1.0)
    assert [slot.chain[0].number for slot in read_slots(study.trials, 1)] == [0]
    assert claims.next() is Turn.LEAVE


def test_of_two_successors_of_one_failure_the_later_is_void() -> None:
    study = a_study()
    claims = claims_of(study, 1)
    fail(study, claimed(claims))
    for _ in range(2):  # two workers that saw the failure at the same moment
        attributes = {schema.RETRY_OF: 0, schema.SLOT: 0, schema.ATTEMPT: 1}
        study.enqueue_trial(study.trials[0].params, user_attrs=attributes)
    study.tell(claimed(claims).trial, 1.0)
    assert claims.next() is Turn.LEAVE
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]
    assert study.trials[2].user_attrs[schema.VOID] is True


def test_a_surplus_claim_becomes_a_slot_when_the_study_grows() -> None:
    study = a_study()
    study.tell(claimed(claims_of(study, 1)).trial, 1.0)
    void = study.ask()
    void.set_user_attr(schema.VOID, True)
    study.tell(void, state=TrialState.FAIL)
    claim = claimed(claims_of(study, 2))
    assert claim.slot == 1
    assert schema.REDRAWN not in claim.trial.user_attrs


def queue_of_a_larger_study(study: optuna.Study) -> tuple[Claims, Claims, Claim]:
    """Claims on two slots and on three of one study; the third slot failed once and is queued again."""
    few, more = claims_of(study, 2, max_retries=2), claims_of(study, 3, max_retries=2)
    running = [claimed(more) for _ in range(3)]
    study.tell(running[0].trial, 1.0)
    fail(study, running[2])
    study.set_user_attr(schema.STUDY_N_TRIALS, 3)
    attributes = {schema.RETRY_OF: 2, schema.SLOT: 2, schema.ATTEMPT: 1}
    study.enqueue_trial(study.trials[2].params, user_attrs=attributes)
    return few, more, running[1]


def test_what_waits_for_a_slot_that_another_command_has_is_left_to_that() -> None:
    study = a_study()
    few, more, running = queue_of_a_larger_study(study)
    assert few.next() is Turn.WAIT
    again = claimed(more)
    assert (again.slot, again.attempt) == (2, 1)
    assert again.trial.params == study.trials[2].params
    study.tell(running.trial, 1.0)
    assert few.next() is Turn.LEAVE
    assert study.trials[again.trial.number].state == TrialState.RUNNING


def test_a_queued_trial_that_was_taken_for_surplus_is_queued_again_with_its_point_and_attempt() -> None:
    study = a_study()
    _, more, _ = queue_of_a_larger_study(study)
    taken = study.ask()
    taken.set_user_attr(schema.VOID, True)
    study.tell(taken, state=TrialState.FAIL)
    again = claimed(more)
    assert (again.slot, again.attempt) == (2, 1)
    assert again.trial.params == study.trials[2].params
    assert again.repeated is not None
    assert again.repeated.number == 2


def test_surplus_claims_of_dead_workers_are_marked_and_those_that_run_or_may_have_a_slot_are_not() -> None:
    study = a_study()
    claims = claims_of(study, 1)
    study.tell(claimed(claims).trial, 1.0)
    of_a_larger_study, dead = study.ask(), study.ask()
    of_a_larger_study.set_user_attr(schema.WORKER, "elsewhere:1:1")
    assert claims.next() is Turn.LEAVE
    assert [trial.state for trial in study.trials[1:]] == [TrialState.RUNNING, TrialState.FAIL]
    assert study.trials[dead.number].user_attrs == {schema.VOID: True}
    unknown = study.ask()
    study.set_user_attr(schema.STUDY_N_TRIALS, 9)
    assert claims.next() is Turn.LEAVE
    assert study.trials[unknown.number].state == TrialState.RUNNING
