"""The rounds of a selection: what they train, in which order, and what their names rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from landscapes import Landscape, run_study
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, create_trial
from selections import MakeSettings, by_dropout, selection_of, trials_of

from studies import schema
from studies.config.settings import StudySettings
from studies.search.seeds import training_seed
from studies.selection.rounds import RoundCandidate, announcement, describe_round, interleaved, round_settings
from studies.selection.steps import next_step, reader


def trial_at(lr: float) -> FrozenTrial:
    return create_trial(params={"lr": lr}, distributions={"lr": FloatDistribution(1e-3, 1e-1)}, value=1.0)


CANDIDATES = [RoundCandidate(0, i, trial_at(lr)) for i, lr in enumerate((0.01, 0.02, 0.03))]


def name_of(
    settings: StudySettings, *, replicates: Sequence[int] = (0, 1, 2), candidates: Sequence[RoundCandidate] = CANDIDATES
) -> str:
    return round_settings(settings, "race", interleaved(candidates, replicates), number=1).study_name


def test_each_replicate_begins_with_another_candidate() -> None:
    order = [(replicate, candidate.index) for candidate, replicate in interleaved(CANDIDATES, range(4))]
    assert [candidate for _, candidate in order] == [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]
    assert [replicate for replicate, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [candidate.index for candidate, _ in interleaved(CANDIDATES, range(2, 3))] == [2, 0, 1]
    assert interleaved([], range(3)) == []


def test_a_round_is_found_again_by_the_same_config_points_and_seeds(make_settings: MakeSettings) -> None:
    name = name_of(make_settings(study="plain"))
    assert name.startswith("plain.select-1-")
    assert name_of(make_settings("n_trials=9", study="plain")) == name


@pytest.mark.parametrize("override", ["budget.amount=3", "model.n_samples=200", "search_space.lr.high=0.2"])
def test_rounds_under_two_configs_have_two_names(override: str, make_settings: MakeSettings) -> None:
    assert name_of(make_settings(override, study="plain")) != name_of(make_settings(study="plain"))


def test_rounds_on_other_seeds_or_points_have_other_names(make_settings: MakeSettings) -> None:
    settings = make_settings(study="plain")
    names = {
        name_of(settings),
        name_of(settings, replicates=(3, 4, 5)),
        name_of(settings, candidates=CANDIDATES[:2]),
        round_settings(settings, "estimate", interleaved(CANDIDATES, range(3)), number=1).study_name,
    }
    assert len(names) == 4


def test_each_stage_has_seeds_of_its_own() -> None:
    for study_seed in range(20):
        streams = [{training_seed(study_seed, r, stream=s) for r in range(64)} for s in ("search", "race", "estimate")]
        assert len(set.union(*streams)) == 3 * 64


def test_a_round_says_in_the_storage_of_what_it_is_one(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10")
    _, rounds = selection_of(settings, storage, Landscape(by_dropout))
    told = optuna.load_study(study_name=rounds[0].study_name, storage=storage).user_attrs[schema.STUDY_SELECT]
    assert (told["of"], told["stage"], told["round"]) == (settings.study_name, "race", 1)
    searched = {trial.number: trial.params for trial in trials_of(settings.study_name, storage)}
    first = trials_of(rounds[0].study_name, storage)
    assert [searched[number] for number in told["trials"]] == [trial.params for trial in first]
    assert {trial.user_attrs[schema.SOURCE] for trial in first} == {"points"}


def test_each_round_trains_the_seeds_that_the_one_before_did_not(digits: MakeSettings, storage: BaseStorage) -> None:
    """Equals all stay: 4 on 3 seeds, then on the fourth alone, and 5 fresh trainings of the winner."""
    selection, rounds = selection_of(digits("n_trials=8"), storage, Landscape(lambda _: 0.5, noise=0.0))
    assert len(selection.races[0].survivors) == 4
    assert [r.n_trials for r in rounds] == [4 * 3, 4 * 1, 5]
    assert selection.n_trainings == 21


def test_the_test_part_is_looked_at_in_the_estimate_alone(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10", "objective.test=true")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout))
    assert [r.objective.test for r in rounds] == [False] * (len(rounds) - 1) + [True]
    assert all(schema.TEST not in t.user_attrs for r in rounds[:-1] for t in trials_of(r.study_name, storage))
    assert selection.best is not None
    assert selection.best.estimate is not None
    test = selection.best.tests["test/accuracy"]
    assert test.estimate.value == pytest.approx(selection.best.estimate.value - 0.02)
    assert (test.estimate.n, test.n_samples) == (5, 500)
    assert selection.best.tests["test/loss"].n_samples is None
    assert test.estimate.half_width > selection.best.estimate.half_width


def test_no_training_of_a_round_is_pruned_and_none_is_the_last(digits: MakeSettings, storage: BaseStorage) -> None:
    """What ends a search early would make the race one of survivors."""
    settings = digits(
        "n_trials=6",
        "pruner=median",
        "stop_at=0.99",
        "device_seconds=1e6",
        "enqueue=[{lr: 1e-3}]",
        "checkpoint.keep_best=2",
    )
    step = next_step(settings, run_study(settings, storage, Landscape(by_dropout)), reader(storage))
    assert isinstance(step, StudySettings)
    assert step.device_seconds is None, "it bounds the search"
    assert (step.pruner.name, step.stop_at, step.enqueue, step.checkpoint.keep_best) == ("none", None, (), 0)


def test_the_budget_is_stated_before_it_is_spent(digits: MakeSettings) -> None:
    assert announcement(digits()) == (
        "select: 4 configurations × up to 4 seeds, then 5 fresh seeds of the winner: at most 21 trainings"
    )


def test_one_of_a_thing_is_told_as_one(digits: MakeSettings) -> None:
    """A value's race may have one candidate, of one seed where the others' rounds need no more."""

    def described(*asked: Any, **options: Any) -> str:
        settings = round_settings(digits(), *asked, **options)
        assert settings.round is not None
        return describe_round(settings.round)

    candidate = RoundCandidate(0, 0, create_trial(value=1.0))
    assert described("race", [(candidate, 0)], number=1).endswith("1 configuration on 1 seed")
    two = [(candidate, 0), (candidate, 1)]
    assert described("race", two, number=1).endswith("1 configuration on 2 seeds")
    assert described("estimate", two).endswith("the winner on 2 fresh seeds")
