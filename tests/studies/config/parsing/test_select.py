"""What a selection is asked to be, read out of the config."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from selections import MakeSettings

from studies.config.settings import SelectSettings
from studies.errors import BadInput


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("select.seeds=2",), "select.seeds is 2: give a whole number of at least 3"),
        (("select.k=0",), "select.k is 0: give a whole number of at least 2"),
        (("select.k=1",), "select.k is 1: give a whole number of at least 2"),
        (("select.k=13",), "select.k is 13 but the search has 12 trials: give no more than 12, or more n_trials"),
        (
            (
                "sampler=grid",
                "pruner=none",
                "n_trials=null",
                "search_space=lr_batch_size",
                "replicates=2",
                "select.k=13",
            ),
            "select.k is 13 but the grid has 12 cells: give no more than 12, or more levels",
        ),
        (
            ("select.cost=steps",),
            "select.cost is steps but select.rule is best, which looks at no cost: set select.rule=one_standard_error",
        ),
        (("select.rule=luck",), "select.rule is 'luck'"),
        (("select.per_value=true",), "select.per_value is true but no parameter of the search space is scientific"),
        (
            ("select.per_value=true", "+search_space.lr.role=scientific"),
            "select.per_value is true, and lr has a continuum of values: give it a step",
        ),
        (
            ("objective.second={metric: seconds}",),
            "select is race, which looks for one winner, and there are two objectives",
        ),
        (("sampler.name=points",), "sampler.name is 'points'"),
    ],
)
def test_what_makes_no_sense_is_told(digits: MakeSettings, overrides: Sequence[str], told: str) -> None:
    with pytest.raises(BadInput) as caught:
        digits(*overrides)
    assert told in str(caught.value)


def test_as_many_race_as_there_are(digits: MakeSettings) -> None:
    grid = ("sampler=grid", "pruner=none", "n_trials=null", "search_space=lr_batch_size", "replicates=2")
    assert digits("select.k=12").select.k == digits(*grid, "select.k=12").select.k == 12
    assert digits("select.cost=steps", "select.rule=one_standard_error").select.cost == "steps"
    assert digits("select.cost=seconds").select.rule == "best"


def test_the_size_of_a_race_is_not_told_where_the_number_of_trials_is_wrong(digits: MakeSettings) -> None:
    with pytest.raises(BadInput) as caught:
        digits("n_trials=0")
    assert [problem.key for problem in caught.value.problems] == ["n_trials"]


def test_a_selection_that_a_study_asks_for_is_turned_off_by_the_command_line(make_settings: MakeSettings) -> None:
    assert make_settings(study="mnist").select.k == 6
    assert make_settings("select=none", study="mnist").select == SelectSettings()
    with pytest.raises(BadInput, match=r"^1 problem .*\n.* select\.k is set but nothing is selected: add select=race"):
        make_settings("select=none", "select.k=4", study="mnist")


def test_options_of_a_selection_that_is_not_asked_for_are_told(make_settings: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"select\.k is set but nothing is selected: add select=race"):
        make_settings("+select.k=3")
