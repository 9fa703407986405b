"""The rounds of a selection: in which order they train, and what their names rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from studies.search.rounds import Lane, interleaved, round_of
from studies.settings import StudySettings

MakeSettings = Callable[..., StudySettings]


def trial_at(lr: float) -> FrozenTrial:
    return create_trial(params={"lr": lr}, distributions={"lr": FloatDistribution(1e-3, 1e-1)}, value=1.0)


LANES = [Lane(0, i, trial_at(lr)) for i, lr in enumerate((0.01, 0.02, 0.03))]


def name_of(settings: StudySettings, *, replicates: Sequence[int] = (0, 1, 2), lanes: Sequence[Lane] = LANES) -> str:
    return round_of(settings, "race", interleaved(lanes, replicates), number=1).study_name


def test_each_replicate_begins_with_another_candidate() -> None:
    order = [(replicate, lane.candidate) for lane, replicate in interleaved(LANES, range(4))]
    assert [candidate for _, candidate in order] == [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]
    assert [replicate for replicate, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [lane.candidate for lane, _ in interleaved(LANES, range(2, 3))] == [2, 0, 1]
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
        name_of(settings, lanes=LANES[:2]),
        round_of(settings, "estimate", interleaved(LANES, range(3)), number=1).study_name,
    }
    assert len(names) == 4
