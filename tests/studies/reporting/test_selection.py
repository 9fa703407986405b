"""What a selection came to in words, on selections made by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial
from reports import shown

from studies.analysis.estimate import Estimate
from studies.analysis.racing import run_race
from studies.config.settings import StudySettings
from studies.reporting.sections.selection.section import selection_blocks
from studies.reporting.sections.selection.select_csv import selection_csv
from studies.reporting.sections.selection.words import claim
from studies.selection.race import Candidate, Race
from studies.selection.steps import Selection, WinnerComparison

MakeSettings = Callable[..., StudySettings]
RACE = ("select=race", "select.k=3", "select.seeds=4", "select.estimate_seeds=5")
LEADER = [0.95, 0.96, 0.94, 0.95]
NEAR = [0.95, 0.95, 0.95, 0.94]
FAR = [0.80, 0.82, 0.78, 0.81]


def trial_of(number: int, value: float) -> FrozenTrial:
    trial = create_trial(params={"lr": 0.01}, distributions={"lr": FloatDistribution(1e-3, 1e-1)}, value=value)
    trial.number = number
    return trial


def selection_of(settings: StudySettings, *rows: list[float], searched: float = 0.97, fresh: float = 0.93) -> Selection:
    """The trials 7, 8 … raced with `rows` on four seeds, which took 2, 3, 4 and 3 seconds of each; the search gave 7,
    the leader, the value `searched`, and five fresh seeds `fresh` ± .01."""
    values = np.array(rows)
    elimination = run_race(values, analyses=(4,), n_analyses=1, maximize=settings.objective.direction == "maximize")
    candidates = tuple(Candidate(trial_of(7 + i, searched), searched) for i in range(len(rows)))
    costs = ((2.0, 3.0, 4.0, 3.0),) * len(rows)
    estimate = Estimate(fresh, fresh - 0.01, fresh + 0.01, 5)
    race = Race({}, candidates, values, costs, elimination=elimination, winner=elimination.leader, estimate=estimate)
    return Selection(settings.select, (race,), WinnerComparison(race), candidates[0], 4 * len(rows) + 5)


def told_of(selection: Selection, settings: StudySettings) -> str:
    return shown(
        selection_blocks(
            selection, metric="accuracy", maximize=settings.objective.direction == "maximize", on_devices=False
        )
    )


@pytest.mark.parametrize(("direction", "fresh"), [("maximize", 0.93), ("minimize", 1.01)])
def test_what_the_search_promised_too_much_was_luck_of_a_gain_and_of_a_loss(
    direction: str, fresh: float, make_settings: MakeSettings
) -> None:
    settings = make_settings(*RACE, f"objective.direction={direction}", "objective.direction_is_meant=true")
    rows = [LEADER, NEAR] if direction == "maximize" else [[-x for x in LEADER], [-x for x in NEAR]]
    told = told_of(selection_of(settings, *rows, fresh=fresh), settings)
    assert "The search's best value was 0.9700 (trial 7): 0.0400 of that was luck." in told


@pytest.mark.parametrize(("direction", "fresh"), [("maximize", 0.98), ("minimize", 0.96)])
def test_what_is_worth_more_than_the_search_promised_was_bad_luck(
    direction: str, fresh: float, make_settings: MakeSettings
) -> None:
    settings = make_settings(*RACE, f"objective.direction={direction}", "objective.direction_is_meant=true")
    rows = [LEADER, NEAR] if direction == "maximize" else [[-x for x in LEADER], [-x for x in NEAR]]
    assert "which was bad luck" in told_of(selection_of(settings, *rows, fresh=fresh), settings)


def test_the_ties_hold_the_best_with_the_confidence_that_the_race_left(make_settings: MakeSettings) -> None:
    """A race loses the best with a chance of 5 % at most: what is left has it with 95 %."""
    settings = make_settings(*RACE)
    tied = told_of(selection_of(settings, LEADER, NEAR, FAR), settings)
    alone = told_of(selection_of(settings, LEADER, FAR, FAR), settings)
    assert "with 95 % confidence" in tied
    assert "is 5 % at most" in alone


def test_the_claim_counts_the_others_that_tie(make_settings: MakeSettings) -> None:
    settings = make_settings(*RACE)
    tied, alone = (
        claim(selection_of(settings, *rows), "accuracy") for rows in ((LEADER, NEAR, FAR), (LEADER, FAR, FAR))
    )
    assert tied is not None
    assert alone is not None
    assert tied.endswith("; tied with 1 of 2 others")
    assert "tied" not in alone
    pair = claim(selection_of(settings, LEADER, NEAR), "accuracy")
    assert pair is not None
    assert pair.endswith("; tied with the only other candidate")
    found = selection_of(settings, LEADER, NEAR)
    races = tuple(replace(found.races[0], scientific={"optimizer": name}) for name in ("adam", "sgd"))
    told = claim(replace(found, races=races, comparison=WinnerComparison(races[1])), "accuracy")
    assert told is not None
    assert told.endswith("; tied with the only other candidate of its own race, optimizer = sgd")


def test_the_cost_of_the_winner_is_told_per_training(make_settings: MakeSettings) -> None:
    settings = make_settings(*RACE, "select.rule=one_standard_error")
    told = told_of(selection_of(settings, LEADER, NEAR), settings)
    assert "the cheapest (seconds 3)" in told


@pytest.mark.parametrize(
    ("n_rivals", "told"), [(0, "surely better than each other"), (1, "that of x = 2 is not shown")]
)
def test_of_several_races_it_is_told_over_which_the_best_is_shown(
    n_rivals: int, told: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(*RACE)
    best, *others = (
        replace(race, scientific={"x": x}) for x, race in enumerate(3 * selection_of(settings, LEADER, NEAR).races, 1)
    )
    comparison = WinnerComparison(best, 4, 2, tuple(others[:n_rivals]))
    selection = Selection(settings.select, (best, *others), comparison, best.candidates[0], 39)
    section, headline = told_of(selection, settings), claim(selection, "accuracy") or ""
    assert "Of the winners of 3 values, that of x = 1 is the best by the mean over the 4 race seeds" in section
    assert told in section
    assert headline.endswith("not shown to be better than 1 of 2 other values") == bool(n_rivals)
    equal = replace(selection, comparison=replace(comparison, equals=(others[1],)))
    assert "that all of them have (that of x = 3 is equal: the first value is taken)" in told_of(equal, settings)
    assert "is equal" not in section


def test_the_interval_of_the_winner_ends_at_a_bound(make_settings: MakeSettings) -> None:
    settings = make_settings(*RACE)
    whole = selection_of(settings, LEADER, NEAR)
    cut = replace(whole.races[0], estimate=Estimate(0.99, 0.96, 1.0, 5))
    told = claim(replace(whole, races=(cut,), comparison=WinnerComparison(cut)), "accuracy")
    assert told is not None
    assert "0.9900 [0.9600, 1.0000]" in told


def test_what_raced_is_told_of_each_value(make_settings: MakeSettings) -> None:
    settings = make_settings(*RACE)
    whole, short = selection_of(settings, *[LEADER] * settings.select.k), selection_of(settings, LEADER, NEAR)
    races = tuple(
        replace(found.races[0], scientific={"optimizer": name}) for found, name in ((whole, "adam"), (short, "sgd"))
    )
    found = replace(whole, races=races, comparison=WinnerComparison(races[0]))
    told = f"The best {settings.select.k} of each value of the search (but optimizer = sgd has 2) were trained again"
    assert told in told_of(found, settings)
    assert "(but" not in told_of(replace(found, races=(races[0], races[0])), settings)


def test_a_choice_of_none_is_told_from_an_inactive_parameter(make_settings: MakeSettings) -> None:
    selection = selection_of(make_settings(*RACE), LEADER, NEAR)
    trial = selection.races[0].candidates[0].trial
    trial.distributions = {"decay": CategoricalDistribution([None, "step"])}
    trial.params = {"decay": None}
    first, second = csv.DictReader(selection_csv(selection, names=["lr", "decay"]).splitlines())
    assert (first["params_decay"], second["params_decay"]) == ("None", "")
