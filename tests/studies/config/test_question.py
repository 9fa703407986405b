"""The grid of a question: levels, pinned values, and what no grid can be made of."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from studies.config.defaults import defaults_of
from studies.config.parameter import Parameter
from studies.config.question import (
    check_names,
    config_point,
    grid_levels,
    gridded,
    parse_names,
    question_argument,
)
from studies.config.space import SearchSpace
from studies.errors import BadInput
from studies.text.quoting import read_value

LR = Parameter("lr", ("lr",), "float", 1e-4, 1e-1, log=True)
BATCH = Parameter(
    "batch_size", ("batch",), "power_of_two", 16, 4096, log=True, levels=tuple(2**k for k in range(4, 13))
)
OPTIMIZER = Parameter(
    "optimizer", ("optimizer",), "categorical", choices={"adam": {"b": 1}, "sgd": {"m": 0}}, levels=("adam", "sgd")
)
MOMENTUM = Parameter("momentum", ("optimizer.m",), "float", 0.0, 0.9, when={"optimizer": ("sgd",)})
BETA = Parameter("beta", ("optimizer.b",), "float", 0.0, 1.0, when={"optimizer": ("adam",)})
SPACE = SearchSpace((LR, BATCH, Parameter("n", ("n",), "int", 1, 3), OPTIMIZER, MOMENTUM, BETA))


def refusal(*names: str, space: SearchSpace = SPACE, **listed: str) -> str:
    with pytest.raises(BadInput) as caught:
        check_names(names, space, dict.fromkeys(space.names, "nuisance") | listed)
    return str(caught.value)


def test_levels_are_those_of_the_config_or_at_most_five_spread_on_the_scale() -> None:
    assert grid_levels(LR) == LR.spread(5)
    assert grid_levels(LR)[2] == pytest.approx(10**-2.5)
    assert grid_levels(BATCH) == (16, 64, 256, 1024, 4096)
    given = Parameter("b", ("b",), "power_of_two", 16, 512, log=True, levels=(16, 32), levels_are_given=True)
    assert grid_levels(given) == (16, 32)
    letters = {letter: letter for letter in "abcdefg"}
    assert grid_levels(Parameter("c", ("c",), "categorical", choices=letters, levels=tuple(letters))) == tuple(
        "abcdefg"
    )
    assert grid_levels(SPACE["n"]) == (1, 2, 3)


def test_all_but_the_parameters_in_question_are_pinned_and_inactive_ones_left_out() -> None:
    pins = {"n": 2, "optimizer": "sgd", "momentum": 0.5, "beta": 0.25}
    found = gridded(SPACE, ("lr", "batch_size"), pins)
    assert found.names == ("lr", "batch_size", "n", "optimizer", "momentum")
    cells = found.grid()
    assert len(cells) == 25
    assert {(cell["n"], cell["optimizer"], cell["momentum"]) for cell in cells} == {(2, "sgd", 0.5)}


def test_a_conditional_parameter_is_crossed_where_its_condition_is_pinned() -> None:
    found = gridded(SPACE, ("lr", "momentum"), {"batch_size": 64, "n": 1, "optimizer": "sgd"})
    assert len(found.grid()) == 25
    switched = gridded(SPACE, ("lr", "optimizer"), {"batch_size": 64, "n": 1, "momentum": 0.5, "beta": 0.25})
    assert [cell.get("momentum") for cell in switched.grid()] == [None, 0.5] * 5
    assert [cell.get("beta") for cell in switched.grid()] == [0.25, None] * 5


def test_parameters_that_are_not_active_in_all_cells_are_refused_with_a_remedy() -> None:
    pins = {"batch_size": 64, "n": 1, "optimizer": "adam", "lr": 0.01}
    with pytest.raises(
        BadInput, match=r"momentum, which is active only if optimizer is sgd: ask about parameters that"
    ):
        gridded(SPACE, ("lr", "momentum"), pins)
    with pytest.raises(BadInput, match=r"momentum, which is active only if optimizer is sgd: leave optimizer out"):
        gridded(SPACE, ("optimizer", "momentum"), pins)


def test_a_name_that_no_grid_can_take_is_refused_with_its_reason() -> None:
    check_names(("lr", "batch_size", "n"), SPACE, {})
    assert "question names batchsize, which is no parameter of the search: did you mean batch_size?" in refusal(
        "batchsize"
    )
    assert "question names width, whose role is fixed: set search_space.width.role=nuisance" in refusal(
        "width", width="fixed"
    )
    assert "question names width, a nuisance parameter, and mode is fixed: set mode=tuned" in refusal(
        "width", width="nuisance"
    )
    single = SearchSpace((Parameter("a", ("a",), "float", 0.0, 1.0, levels=(0.5,), levels_are_given=True),))
    assert "search_space.a.levels holds one level: give two or more, or none" in refusal("a", space=single)


def test_names_are_a_list_or_one() -> None:
    assert parse_names(["lr", "n"]) == ("lr", "n")
    assert parse_names("lr") == ("lr",)
    for wrong in ([], 5, ["lr", "lr"], [1], {"lr": 1}):
        with pytest.raises(BadInput, match="question is"):
            parse_names(wrong)


def test_the_argument_is_read_by_hydra_as_these_names() -> None:
    key, _, value = question_argument(("lr", "1e5", "a b")).partition("=")
    assert (key, read_value(value)) == ("question", ["lr", "1e5", "a b"])


def test_the_configs_own_values_are_those_that_the_space_has() -> None:
    config = OmegaConf.create({"lr": 5.0, "batch": 64, "n": "${vars.n}", "vars": {"n": 3}, "optimizer": {"m": 0}})
    assert config_point(SPACE, config) == {"batch_size": 64, "n": 3, "optimizer": "sgd", "momentum": 0}
    other = OmegaConf.merge(config, {"optimizer": {"m": 0.3}, "lr": 0.01})
    assert config_point(SPACE, other) == {"lr": 0.01, "batch_size": 64, "n": 3}


def test_the_configs_own_values_are_met_as_everywhere() -> None:
    """By all paths, by numbers up to rounding, and by a choice's own entries, for other parameters may set more."""
    both = Parameter("x", ("a", "b"), "float", 0.0, 1.0)
    space = SearchSpace((both, OPTIMIZER))
    config = OmegaConf.create({"a": 0.3, "b": 0.3 * (1 + 1e-9), "optimizer": {"m": 0, "lr": 0.1}})
    assert config_point(space, config) == {"x": 0.3, "optimizer": "sgd"}
    assert config_point(space, OmegaConf.merge(config, {"b": 0.4})) == {"optimizer": "sgd"}
    assert config_point(space, config) == defaults_of(space, config)
