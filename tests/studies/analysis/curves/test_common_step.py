from __future__ import annotations

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.analysis.curves.common_step import CommonStep, common_step


def complete(*steps: int) -> FrozenTrial:
    """A trial that reported at each step a tenth of it."""
    return create_trial(value=1.0, intermediate_values={step: step / 10 for step in steps})


def pruned(*steps: int) -> FrozenTrial:
    return create_trial(state=TrialState.PRUNED, intermediate_values={step: step / 10 for step in steps})


def test_trials_with_common_steps_are_compared_at_the_last_that_nine_in_ten_reached() -> None:
    trials = [complete(1, 2, 3)] * 5 + [pruned(1, 2)] * 4 + [pruned(1)]
    assert common_step(trials) == CommonStep(2)
    assert [CommonStep(2).value_of(trial) for trial in (trials[0], trials[-1])] == [0.2, None]


def test_trials_with_steps_of_their_own_count_with_their_last_report_before_a_common_one() -> None:
    trials = [complete(10 + i, 20 + i, 30 + i) for i in range(6)] + [pruned(11 + i, 22 + i) for i in range(4)]
    found = common_step(trials)
    assert found == CommonStep(23, is_shared=False)
    assert found.policy == "step 23"
    assert [found.value_of(trial) for trial in trials] == [2.0, 2.1, 2.2, 2.3, 1.4, 1.5, None, 2.3, 1.3, 1.4]


def test_a_complete_trial_is_not_cut_short_by_its_last_report() -> None:
    found = CommonStep(40, is_shared=False)
    assert found.value_of(complete(10, 30)) == 3.0
    assert found.value_of(pruned(10, 30)) is None
    assert found.value_of(pruned(10, 50)) == 1.0
    assert found.value_of(complete(50)) is None


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [complete()] * 8 + [pruned(1)] * 2,
        [pruned()] * 3,
        [complete(1000 * i) for i in range(1, 9)] + [pruned(i) for i in range(1, 9)],
    ],
)
def test_there_may_be_no_common_step(trials: list[FrozenTrial]) -> None:
    assert common_step(trials) is None


@pytest.mark.parametrize("step", [0, -5, 10**12])
def test_any_step_may_be_the_common_one(step: int) -> None:
    assert common_step([complete(step)] * 5 + [pruned(step)] * 5) == CommonStep(step)


def test_one_trial_with_one_report_is_compared_there() -> None:
    assert common_step([pruned(7)]) == CommonStep(7)
