from __future__ import annotations

import math

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.analysis.choice import best_of, ranked
from studies.analysis.pareto import Goal, front_of
from studies.records.eligible import Excluded, can_be_best, excluded

UNIT = FloatDistribution(0.0, 1.0)


def trial(number: int, *values: float, state: TrialState = TrialState.COMPLETE, **constraints: float) -> FrozenTrial:
    made = create_trial(
        state=state,
        values=values or None,
        params={"x": 0.1 * number},
        distributions={"x": UNIT},
        constraints=constraints,
    )
    made.number = number
    return made


def test_the_best_is_the_best_feasible_trial_as_optuna_has_it() -> None:
    study = optuna.create_study(direction="maximize")
    for value, memory in ((0.9, 1.0), (0.5, 0.0), (0.7, -1.0), (0.8, 0.1)):
        study.add_trial(create_trial(value=value, constraints={"memory": memory, "time": -1.0}))
    best = best_of(study.trials, maximize=True)
    assert best is not None
    assert best.number == study.best_trial.number == 2
    assert [choice.trial.number for choice in ranked(study.trials, maximize=True, by_point=False)] == [2, 1]


def test_constraints_of_a_sampler_count_as_well() -> None:
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.add_trial(create_trial(value=0.1, system_attrs={"constraints": [-1.0, 2.0]}))
    study.add_trial(create_trial(value=0.2, system_attrs={"constraints": [-1.0, 0.0]}))
    best = best_of(study.trials, maximize=False)
    assert best is not None
    assert best.number == study.best_trial.number == 1


def test_a_study_without_a_feasible_trial_has_no_best() -> None:
    trials = [trial(0, 0.5, memory=1.0), trial(1, 0.6, memory=2.0)]
    assert best_of(trials, maximize=False) is None
    assert ranked(trials, maximize=False, by_point=True) == []
    assert str(excluded(trials)) == "2 infeasible"


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e200, -1e200])
def test_infinite_values_are_nobody_s_best(value: float, maximize: bool) -> None:
    trials = [trial(0, value), trial(1, 0.5)]
    best = best_of(trials, maximize=maximize)
    assert best is not None
    assert best.number == 1


def test_why_complete_trials_cannot_be_the_best_is_counted_once_a_trial() -> None:
    trials = [trial(0, math.inf, memory=1.0), trial(1, math.inf), trial(2, 0.5), trial(3, state=TrialState.FAIL)]
    assert excluded(trials) == Excluded(infeasible=1, infinite=1)
    assert [can_be_best(each) for each in trials] == [False, False, True, False]
    assert (str(excluded(trials)), str(Excluded())) == ("1 infeasible, 1 infinite", "")


def test_the_front_holds_feasible_trials_with_finite_values_only() -> None:
    trials = [trial(0, 0.1, 9.0), trial(1, 0.0, 0.0, memory=1.0), trial(2, 0.9, 1.0), trial(3, -math.inf, 5.0)]
    front = front_of(trials, (Goal("a", False, 0.01), Goal("b", False, 0.01)))
    assert front is not None
    assert [member.trial.number for member in front.members] == [2, 0]
    assert len(front.candidates) == 2
    assert front_of(trials[1:2], front.goals) is None
