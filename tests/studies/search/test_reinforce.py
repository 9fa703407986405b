from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from composing import composed
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.parameter import Parameter
from studies.config.parsing.settings import parse_settings
from studies.config.space import Point, SearchSpace
from studies.errors import BadInput
from studies.search.checks import check_search
from studies.search.policy import ChoicePolicy, NumberPolicy, Rates, begin
from studies.search.policy_state import PolicyState
from studies.search.reinforce import Memory, ReinforceSampler

ARM = Parameter("arm", (), "categorical", choices={name: name for name in "abcd"})
LR = Parameter("lr", (), "float", low=1e-5, high=1.0, log=True)
X = Parameter("x", (), "float", low=0.0, high=1.0)
Y = Parameter("y", (), "float", low=0.0, high=1.0)
DEPTH = Parameter("depth", (), "int", low=1, high=6)
OPTIMIZER = Parameter("optimizer", (), "categorical", choices={"adam": 0, "sgd": 1})
MOMENTUM = Parameter("momentum", (), "float", low=0.0, high=0.99, when={"optimizer": ("sgd",)})

BANDIT = SearchSpace((ARM,))
LINE = SearchSpace((LR,))
PLANE = SearchSpace((X, Y))
MIXED = SearchSpace((X, DEPTH, ARM))
CONDITIONAL = SearchSpace((OPTIMIZER, LR, MOMENTUM))

Objective = Callable[[Point, int], float]


def number(point: Point, name: str) -> float:
    return float(str(point[name]))


def open_study(sampler: ReinforceSampler, *, direction: str = "minimize", storage: BaseStorage | None = None) -> Any:
    return optuna.create_study(
        sampler=sampler, direction=direction, storage=storage, study_name="s", load_if_exists=True
    )


def run(study: optuna.Study, space: SearchSpace, objective: Objective, n: int) -> list[Point]:
    points = []
    for _ in range(n):
        trial = study.ask()
        points.append(space.suggest(trial))
        study.tell(trial, objective(points[-1], trial.number))
    return points


def search(space: SearchSpace, objective: Objective, *, n: int = 200, seed: int = 0, **options: Any) -> PolicyState:
    """What is learnt in one search by one worker."""
    sampler = ReinforceSampler(space, seed=seed, **options)
    study = open_study(sampler)
    run(study, space, objective, n)
    return sampler.policy_state(study)


def numbers(state: PolicyState, name: str) -> NumberPolicy:
    policy = state.policies[name]
    assert isinstance(policy, NumberPolicy)
    return policy


def probability(state: PolicyState, name: str, choice: str) -> float:
    policy = state.policies[name]
    assert isinstance(policy, ChoicePolicy)
    return float(policy.probabilities[tuple(policy.parameter.choices).index(choice)])


def noisy(objective: Objective, deviation: float, *, seed: int) -> Objective:
    def value(point: Point, trial_number: int) -> float:
        noise = float(np.random.default_rng([seed, trial_number]).standard_normal())
        return objective(point, trial_number) + deviation * noise

    return value


def bowl(point: Point, trial_number: int) -> float:
    return (number(point, "x") - 0.3) ** 2 + (number(point, "y") - 0.8) ** 2


def mixed(point: Point, trial_number: int) -> float:
    return (number(point, "x") - 0.3) ** 2 + 0.1 * abs(number(point, "depth") - 2) + 0.3 * (point["arm"] != "c")


@pytest.mark.parametrize("best", "abcd")
def test_the_best_arm_of_a_noisy_bandit_is_found(best: str) -> None:
    for seed in range(5):
        state = search(BANDIT, noisy(lambda p, _: float(p["arm"] != best), 0.5, seed=seed), seed=seed)
        assert probability(state, "arm", best) > 0.9


def test_the_mean_settles_at_the_best_learning_rate() -> None:
    def loss(point: Point, trial_number: int) -> float:
        return (math.log10(number(point, "lr")) + 3.3) ** 2

    for seed in range(5):
        policy = numbers(search(LINE, noisy(loss, 0.2, seed=seed), seed=seed), "lr")
        centre = LR.from_unit(statistics.NormalDist().cdf(policy.mean))
        assert math.log10(float(str(centre))) == pytest.approx(-3.3, abs=0.3)  # of five decades
        assert policy.spread < 0.3


def test_it_beats_random_search_on_a_noisy_mixed_space() -> None:
    def regret(points: Sequence[Point], loss: Objective) -> float:
        """Of the point that looks best."""
        return mixed(points[min(range(100), key=lambda i: loss(points[i], i))], 0)

    ours, others = [], []
    for seed in range(10):
        loss = noisy(mixed, 0.05, seed=seed)
        ours.append(regret(run(open_study(ReinforceSampler(MIXED, seed=seed)), MIXED, loss, 100), loss))
        rng = np.random.default_rng(seed)
        others.append(regret([MIXED.from_unit(rng.random(3).tolist()) for _ in range(100)], loss))
    assert statistics.median(ours) < 0.6 * statistics.median(others)


def test_a_conditional_parameter_learns_from_the_trials_in_which_it_was_active() -> None:
    def loss(point: Point, trial_number: int) -> float:
        lr = abs(math.log10(number(point, "lr")) + 2)
        return lr + (4 * abs(number(point, "momentum") - 0.9) - 1 if point["optimizer"] == "sgd" else 0.0)

    state = search(CONDITIONAL, loss)
    assert probability(state, "optimizer", "sgd") > 0.9
    assert numbers(state, "momentum").spread < 0.4
    assert MOMENTUM.from_unit(statistics.NormalDist().cdf(numbers(state, "momentum").mean)) == pytest.approx(
        0.9, abs=0.05
    )
    never = search(CONDITIONAL, lambda p, t: loss({**p, "optimizer": "adam"}, t) + 9 * (p["optimizer"] == "sgd"))
    assert probability(never, "optimizer", "adam") > 0.9
    assert numbers(never, "momentum").spread > numbers(never, "lr").spread + 0.3


def told(study: optuna.Study, numbers: Sequence[int], trials: Sequence[optuna.Trial], space: SearchSpace) -> None:
    for i in numbers:
        study.tell(trials[i], mixed(trials[i].params, i))


def test_the_trials_numbers_are_the_order_and_not_their_ends() -> None:
    learnt = []
    for order in (range(8), reversed(range(8)), [3, 7, 0, 1, 6, 2, 5, 4]):
        study = open_study(ReinforceSampler(MIXED, seed=1))
        trials = [study.ask() for _ in range(8)]
        for trial in trials:
            MIXED.suggest(trial)
        told(study, list(order), trials, MIXED)
        assert isinstance(study.sampler, ReinforceSampler)
        learnt.append(study.sampler.policy_state(study).policies)
    assert learnt[0] == learnt[1] == learnt[2]
    swapped = open_study(ReinforceSampler(MIXED, seed=1))
    swapped.add_trials([*study.trials[4:], *study.trials[:4]])
    assert ReinforceSampler(MIXED, seed=1).policy_state(swapped).policies != learnt[0]


def test_what_a_worker_remembers_is_what_it_would_rebuild() -> None:
    """Four trials at once, ended in any order, one of them only after twenty others."""
    remembering = ReinforceSampler(MIXED, seed=2)
    study = open_study(remembering)
    rng, running, late = np.random.default_rng(0), [], None
    for i in range(60):
        trial = study.ask()
        MIXED.suggest(trial)
        late = trial if i == 10 else late
        running += [trial] if i != 10 else []
        if len(running) == 4:
            ended = running.pop(int(rng.integers(4)))
            study.tell(ended, mixed(ended.params, 0))
        if i == 30:
            assert late is not None
            study.tell(late, mixed(late.params, 0))
        assert remembering.policy_state(study).policies == ReinforceSampler(MIXED, seed=2).policy_state(study).policies
    again = ReinforceSampler(MIXED, seed=2, memory=Memory())
    assert again.policy_state(study).n_read == 60


def test_a_trial_is_read_once_however_long_the_study() -> None:
    read = []

    def is_own(trial: FrozenTrial) -> bool:
        read.append(trial.number)
        return True

    sampler = ReinforceSampler(PLANE, seed=0, is_own=is_own)
    run(open_study(sampler), PLANE, bowl, 60)
    assert read == list(range(59))


def test_a_memory_of_another_study_is_put_aside() -> None:
    sampler = ReinforceSampler(PLANE, seed=0)
    run(open_study(sampler), PLANE, bowl, 10)
    other = open_study(ReinforceSampler(PLANE, seed=5))
    run(other, PLANE, lambda p, t: -bowl(p, t), 20)
    assert sampler.policy_state(other).policies == ReinforceSampler(PLANE).policy_state(other).policies
    assert sampler.policy_state(open_study(sampler)).n_read == 0
    upside_down = open_study(sampler, direction="maximize")
    upside_down.add_trials(other.trials)
    assert sampler.policy_state(upside_down).policies != sampler.policy_state(other).policies


def test_neither_the_direction_nor_the_metrics_unit_matters() -> None:
    def same(transform: Callable[[float], float], direction: str = "minimize") -> list[Point]:
        study = open_study(ReinforceSampler(PLANE, seed=4), direction=direction)
        return run(study, PLANE, lambda p, t: transform(bowl(p, t)), 60)

    points = same(lambda value: value)
    assert same(lambda value: -value, "maximize") == points
    assert same(lambda value: 1e6 * value - 3) == points
    assert same(math.exp) == points
    assert same(lambda value: value, "maximize") != points


def test_workers_that_share_a_study_draw_different_points_and_a_rerun_the_same() -> None:
    def played() -> list[Point]:
        storage = InMemoryStorage()
        workers = [open_study(ReinforceSampler(PLANE, seed=7), storage=storage) for _ in range(3)]
        points = []
        for _ in range(10):
            trials = [(study, study.ask()) for study in workers]
            for study, trial in trials:
                points.append(PLANE.suggest(trial))
                study.tell(trial, bowl(points[-1], 0))
        return [*points, *run(open_study(ReinforceSampler(PLANE, seed=7), storage=storage), PLANE, bowl, 5)]

    points = played()
    assert len({tuple(point.items()) for point in points}) == 35
    assert len({value for point in points for value in point.values()}) == 70
    assert played() == points


@pytest.mark.parametrize("how", ["diverged", "pruned"])
def test_it_stays_away_from_where_trials_end_early(how: str) -> None:
    """Without a value of theirs: x above one half diverges or is pruned, and else a large x is good."""
    sampler = ReinforceSampler(SearchSpace((X,)), seed=1)
    study = open_study(sampler)
    early = []
    for _ in range(120):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        early.append(x > 0.5)
        if x <= 0.5:
            study.tell(trial, -x)
            continue
        trial.report(-x, step=1)  # the best values there are, had they not ended
        if how == "diverged":
            trial.set_user_attr(schema.FAILURE, schema.Failure.DIVERGED)
        study.tell(trial, state=TrialState.PRUNED)
    assert sum(early[60:]) <= 15  # at random 30, standard deviation 3.9
    assert numbers(sampler.policy_state(study), "x").mean < 0


def ended(x: float, state: TrialState = TrialState.PRUNED, *, rung: int = 0, **options: Any) -> FrozenTrial:
    reported = dict.fromkeys(range(1, rung + 1), x)
    return optuna.create_trial(
        params={"x": x, "y": 0.5},
        distributions={"x": X.distribution(), "y": Y.distribution()},
        state=state,
        intermediate_values=reported,
        **options,
    )


def test_what_was_pruned_later_counts_for_more_and_what_diverged_for_least() -> None:
    diverged = {"user_attrs": {schema.FAILURE: schema.Failure.DIVERGED}, "rung": 9}
    ranked = [
        ended(0.9, TrialState.COMPLETE, value=5.0),
        ended(0.8, rung=2),
        ended(0.1, rung=1),
        ended(0.2, rung=1),
        ended(0.3, **diverged),
    ]
    reference = [
        optuna.create_trial(params=t.params, distributions=t.distributions, value=float(i))
        for i, t in enumerate(ranked)
    ]
    learnt = []
    for trials in (ranked, reference):
        study = open_study(ReinforceSampler(PLANE))
        study.add_trials([*trials, trials[0], trials[2]])
        learnt.append(ReinforceSampler(PLANE).policy_state(study).policies)
    assert learnt[0] == learnt[1]


def test_a_trial_that_was_killed_or_still_runs_teaches_nothing() -> None:
    study = open_study(ReinforceSampler(PLANE, seed=0))
    run(study, PLANE, bowl, 10)
    before = ReinforceSampler(PLANE).policy_state(study)
    study.add_trial(ended(0.1, TrialState.FAIL, user_attrs={schema.FAILURE: schema.Failure.KILLED}))
    study.add_trial(ended(0.1, TrialState.FAIL, user_attrs={schema.VOID: True}))
    study.ask()
    after = ReinforceSampler(PLANE).policy_state(study)
    assert after.policies == before.policies
    assert after.n_read == before.n_read + 3


def test_points_of_others_teach_at_first_and_do_no_harm_later() -> None:
    explored = [
        optuna.create_trial(
            params=PLANE.from_unit(u.tolist()),
            distributions={"x": X.distribution(), "y": Y.distribution()},
            value=bowl(PLANE.from_unit(u.tolist()), 0),
            user_attrs={schema.SOURCE: "explore"},
        )
        for u in np.random.default_rng(0).random((60, 2))
    ]
    at_first = open_study(ReinforceSampler(PLANE))
    at_first.add_trials(explored)
    taught = ReinforceSampler(PLANE).policy_state(at_first)
    assert numbers(taught, "x").mean < -0.2
    assert numbers(taught, "y").mean > 0.2

    later = open_study(ReinforceSampler(PLANE, seed=0))
    run(later, PLANE, bowl, 150)
    before = ReinforceSampler(PLANE).policy_state(later)
    later.add_trials(explored)
    after = ReinforceSampler(PLANE).policy_state(later)
    for name in ("x", "y"):
        assert numbers(after, name).mean == pytest.approx(numbers(before, name).mean, abs=0.1)
        assert numbers(after, name).spread < 1.5 * numbers(before, name).spread


def test_anothers_point_where_the_policy_is_likeliest_counts_like_an_own_one_and_no_more() -> None:
    study = open_study(ReinforceSampler(PLANE, seed=0))
    run(study, PLANE, bowl, 150)
    settled = ReinforceSampler(PLANE).policy_state(study)
    centre = {name: PLANE[name].from_unit(statistics.NormalDist().cdf(numbers(settled, name).mean)) for name in "xy"}
    assert all(settled.policies[name].log_ratio(value) > 1 for name, value in centre.items())
    trial = optuna.create_trial(params=centre, distributions=study.trials[0].distributions, value=-1.0)
    learnt = [settled.copy(), settled.copy()]
    for state, is_own in zip(learnt, (True, False), strict=True):
        state.read([trial], is_own=lambda trial, own=is_own: own)
    assert learnt[0].policies == learnt[1].policies != settled.policies


def test_what_another_studys_policy_drew_is_not_its_own() -> None:
    study = open_study(ReinforceSampler(PLANE, seed=0))
    run(study, PLANE, bowl, 60)
    origin = {schema.IMPORTED_FROM: {"study": "other", "trial": 3}}
    drawn = {schema.SOURCE: "reinforce"}
    far = optuna.create_trial(
        params=PLANE.from_unit([0.99, 0.01]), distributions=study.trials[0].distributions, value=-9.0
    )
    learnt = []
    for attributes in (drawn, {**drawn, **origin}, {schema.SOURCE: "explore"}):
        copied = optuna.create_study(directions=[study.direction])
        copied.add_trials(study.trials)
        far.user_attrs = attributes
        copied.add_trial(far)
        learnt.append(ReinforceSampler(PLANE, seed=0).policy_state(copied).policies)
    assert learnt[0] != learnt[1] == learnt[2]


def test_what_is_expected_of_the_policies_follows_from_their_own_points() -> None:
    study = open_study(ReinforceSampler(PLANE))
    study.add_trials([ended(0.7, TrialState.COMPLETE, value=value) for value in (4.0, 3.0, 2.0, 1.0)])
    study.add_trial(ended(0.2, TrialState.COMPLETE, value=2.5))  # their median: it earns 0, of which 0 was expected
    sampler = ReinforceSampler(PLANE, entropy=0, is_own=lambda trial: trial.number == 4)
    after = sampler.policy_state(study).policies
    before = open_study(ReinforceSampler(PLANE))
    before.add_trials(study.trials[:4])
    assert after == ReinforceSampler(PLANE, entropy=0, is_own=lambda trial: False).policy_state(before).policies


def test_what_was_expected_is_taken_off_what_a_trial_earned() -> None:
    """Each of three trials is the best so far, so its rank among them all lies at 1/2, 1/3 and 1/4; half of what the
    second earned is expected of the third."""
    state = PolicyState(BANDIT, rates=Rates(learning_rate=0.2, entropy=0.0), baseline_decay=0.5, sign=1.0)
    distributions = {"arm": ARM.distribution()}
    arms = {"a": 3.0, "b": 2.0, "c": 1.0}
    trials = [optuna.create_trial(params={"arm": a}, distributions=distributions, value=v) for a, v in arms.items()]
    state.read(trials, is_own=lambda trial: True)
    second, third = (-statistics.NormalDist().inv_cdf(share) for share in (1 / 3, 1 / 4))
    expected = begin(ARM)
    for arm, advantage in (("b", second), ("c", third - 0.5 * second)):
        expected = expected.step(arm, advantage, Rates(learning_rate=0.2, entropy=0.0))
    learnt = state.policies["arm"]
    assert isinstance(learnt, ChoicePolicy)
    assert isinstance(expected, ChoicePolicy)
    assert learnt.logits == pytest.approx(expected.logits)


def test_what_diverged_is_behind_all_that_was_pruned_however_bad_or_early() -> None:
    def pruned(x: float, value: float, **attributes: object) -> FrozenTrial:
        trial = ended(x, user_attrs=attributes)
        trial.intermediate_values = {0: value}
        return trial

    bad, diverged = pruned(0.2, 1e9), pruned(0.9, -1e9, failure=schema.Failure.DIVERGED)
    complete = [ended(x, TrialState.COMPLETE, value=value) for x, value in ((0.2, 1.0), (0.9, 2.0))]
    learnt = []
    for trials in ((bad, diverged, bad), (complete[0], complete[1], complete[0])):
        state = PolicyState(PLANE, rates=Rates(learning_rate=0.2, entropy=0.0), baseline_decay=0.5, sign=1.0)
        state.read(trials, is_own=lambda trial: True)
        learnt.append(state.policies)
    assert learnt[0] == learnt[1]


def test_a_value_that_the_space_has_no_more_teaches_its_parameter_nothing() -> None:
    study = open_study(ReinforceSampler(PLANE))
    wide = {"x": optuna.distributions.FloatDistribution(0, 5), "y": Y.distribution()}
    study.add_trials([optuna.create_trial(params={"x": 3.0, "y": y}, distributions=wide, value=y) for y in (0.9, 0.1)])
    state = ReinforceSampler(PLANE).policy_state(study)
    assert numbers(state, "x") == NumberPolicy(X)
    assert numbers(state, "y").mean < 0


def test_a_study_with_two_objectives_is_refused() -> None:
    sampler = ReinforceSampler(PLANE)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    with pytest.raises(ValueError, match="one objective, the study has 2"):
        study.ask()


def test_a_parameter_outside_of_the_space_is_refused() -> None:
    trial = open_study(ReinforceSampler(PLANE)).ask()
    with pytest.raises(ValueError, match="z is not in the search space: it has x, y"):
        trial.suggest_float("z", 0, 1)


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("learning_rate", "0", "from 0.001 to 1"),
        ("learning_rate", "fast", "from 0.001 to 1"),
        ("entropy", "-0.1", "from 0 to 1"),
        ("baseline_decay", "1.5", "from 0 to 1"),
        ("baseline_decay", "true", "from 0 to 1"),
    ],
)
def test_options_out_of_their_range_are_told_with_it(option: str, value: str, remedy: str) -> None:
    words = ["+study=digits", "sampler=reinforce", f"sampler.{option}={value}"]
    with pytest.raises(BadInput, match=rf"sampler.{option} is .*: give a number {remedy}"):
        parse_settings(composed(*words), checks=[check_search])


def test_an_unknown_option_is_told_with_the_nearest() -> None:
    for option in ("learnin_rate", "memory"):
        words = ["+study=digits", "sampler=reinforce", f"+sampler.{option}=1"]
        with pytest.raises(BadInput, match="is not an option of reinforce") as refused:
            parse_settings(composed(*words), checks=[check_search])
        assert "learning_rate" in str(refused.value)
        assert "space" not in str(refused.value)


def test_the_sampler_itself_refuses_such_numbers() -> None:
    with pytest.raises(ValueError, match=r"learning_rate is 2\.0"):
        ReinforceSampler(PLANE, learning_rate=2.0)
