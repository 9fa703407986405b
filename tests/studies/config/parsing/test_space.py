from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from studies.config.parsing.space import parse_space
from studies.config.space import SearchSpace
from studies.errors import Problem, Problems

Entry = dict[str, Any]

CONFIG = {
    "model": {
        "_target_": "lightning_modules.Classifier",
        "network": {"width": 64, "depth": 2, "dropout": 0.0, "activation": "relu"},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
    },
    "datamodule": {"batch_size": 128},
}
LR = {"path": "model.optimizer.lr", "type": "float", "low": 1e-4, "high": 1e-1, "log": True}
BATCH_SIZE = {"path": "datamodule.batch_size", "type": "power_of_two", "low": 16, "high": 256}
DEPTH = {"path": "model.network.depth", "type": "int", "low": 1, "high": 4}
DROPOUT = {"path": "model.network.dropout", "type": "float", "low": 0.0, "high": 0.5}
ACTIVATION = {"path": "model.network.activation", "type": "categorical", "choices": ["relu", "tanh", "gelu"]}
OPTIMIZER = {
    "path": "model.optimizer",
    "type": "categorical",
    "choices": {
        "adam": {"_target_": "torch.optim.Adam", "lr": 1e-3},
        "sgd": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
    },
}


def read(entries: Any, config: Any = CONFIG) -> tuple[SearchSpace, list[Problem]]:
    problems = Problems()
    return parse_space(entries, config=OmegaConf.create(config), problems=problems), problems.found


def problems_of(**entries: Entry) -> list[Problem]:
    return read(entries)[1]


def accepted(**entries: Entry) -> SearchSpace:
    space, problems = read(entries)
    assert problems == []
    return space


def without(entry: Entry, *keys: str) -> Entry:
    return {key: value for key, value in entry.items() if key not in keys}


BAD = {
    "an unknown key": ({"hihg": 1, **LR}, "hihg", "is not a known key", "did you mean high?"),
    "an unknown type": ({**LR, "type": "flaot"}, "type", "'flaot'", "did you mean float?"),
    "a missing type": (without(LR, "type"), "type", "None", "use one of categorical, float, int, power_of_two"),
    "an unknown role": ({**LR, "role": "nuisanse"}, "role", "'nuisanse'", "did you mean nuisance?"),
    "an unknown path": (
        {**LR, "path": "model.network.widht"},
        "path",
        "network.widht does not",
        "model.network.width?",
    ),
    "an unknown folder": ({**LR, "path": "modle.network.width"}, "path", "modle.network.width", "did you mean model?"),
    "no path": (without(LR, "path"), "path", "both missing", "give one of them"),
    "path and paths": ({**LR, "paths": ["datamodule.batch_size"]}, "path", "both given", "give one of them"),
    "a path that is no text": ({**LR, "path": 3}, "path", "[3]", "dotted config key"),
    "low above high": ({**LR, "low": 1.0}, "low", "1 but high is 0.1", "give a low below high"),
    "low equal to high": ({**DROPOUT, "low": 0.5}, "low", "0.5 but high is 0.5", "give a low below high"),
    "no low": (without(LR, "low"), "low", "None", "give a number"),
    "a low that is no number": ({**LR, "low": "small"}, "low", "'small'", "give a number"),
    "an infinite high": ({**LR, "high": float("inf")}, "high", "inf", "give a number"),
    "log from zero": ({**LR, "low": 0}, "low", "is 0 but log is true", "give a positive lower bound"),
    "log from below zero": ({**LR, "low": -1.0}, "low", "is -1 but log is true", "give a positive lower bound"),
    "a log that is no flag": ({**LR, "low": 0.01, "log": "yes"}, "log", "'yes'", "give true or false"),
    "an int from a fraction": ({**DEPTH, "low": 1.5}, "low", "1.5", "give a whole number for type int"),
    "an int to a fraction": ({**DEPTH, "high": 3.5}, "high", "3.5", "give a whole number for type int"),
    "low no power of two": ({**BATCH_SIZE, "low": 20}, "low", "20", "give a power of two"),
    "high no power of two": ({**BATCH_SIZE, "high": 100}, "high", "100", "give a power of two"),
    "a power of two below one": ({**BATCH_SIZE, "low": 0.5}, "low", "0.5", "give a power of two"),
    "a step for a power of two": (
        {**BATCH_SIZE, "step": 16},
        "step",
        "does nothing for type power_of_two",
        "remove it",
    ),
    "a step that does not divide": (
        {**DROPOUT, "step": 0.2},
        "step",
        "0.2, which does not divide 0…0.5",
        "high low + k",
    ),
    "a step below zero": ({**DROPOUT, "step": -0.1}, "step", "-0.1", "greater than 0"),
    "a step on a log scale": ({**LR, "step": 1e-4}, "step", "but log is true", "give one of step and log"),
    "half a step for an int": ({**DEPTH, "high": 4, "step": 1.5}, "step", "1.5", "give a whole step"),
    "a linear scale over decades": (
        {**LR, "log": False},
        "high",
        "1000 times low on a linear",
        "set log: true, or linear",
    ),
    "choices for a range": ({**LR, "choices": [1, 2]}, "choices", "does nothing for type float", "remove it"),
    "no choices": (without(ACTIVATION, "choices"), "choices", "None", "give a list of values, or a mapping"),
    "an empty list of choices": ({**ACTIVATION, "choices": []}, "choices", "[]", "give a list of values, or a mapping"),
    "an empty mapping of choices": (
        {**ACTIVATION, "choices": {}},
        "choices",
        "{}",
        "give a list of values, or a mapping",
    ),
    "a choice twice": ({**ACTIVATION, "choices": ["relu", "tanh", "relu"]}, "choices", "'relu'", "each choice once"),
    "one and true": ({**ACTIVATION, "choices": [1, True]}, "choices", "[1, True]", "give each choice once"),
    "a choice without a name": (
        {**ACTIVATION, "choices": [[1, 2], [3]]},
        "choices",
        "holds lists",
        "names each choice",
    ),
    "a bound for a categorical": ({**ACTIVATION, "low": 1}, "low", "does nothing for a categorical", "remove it"),
    "levels outside": ({**LR, "levels": [1e-3, 1.0]}, "levels", "holds [1.0]", "values that the parameter can take"),
    "levels between powers": ({**BATCH_SIZE, "levels": [16, 48]}, "levels", "holds [48]", "the parameter can take"),
    "a level twice": ({**LR, "levels": [1e-3, 1e-3]}, "levels", "[0.001, 0.001]", "give each level once"),
    "no levels": ({**LR, "levels": []}, "levels", "[]", "a number of levels, a list of values, or all"),
    "zero levels": ({**LR, "levels": 0}, "levels", "0", "a number of levels, a list of values, or all"),
    "all of a continuum": (
        {**LR, "levels": "all"},
        "levels",
        "all for a continuous parameter",
        "give a number of levels",
    ),
}


@pytest.mark.parametrize(("entry", "key", "complaint", "remedy"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_told_once_with_key_value_and_remedy(entry: Entry, key: str, complaint: str, remedy: str) -> None:
    (problem,) = problems_of(x=entry)
    assert problem.key == f"search_space.x.{key}"
    assert complaint in problem.complaint
    assert remedy in problem.remedy


GOOD = {
    "a log scale": LR,
    "a linear scale": DROPOUT,
    "a linear scale from zero": {**DROPOUT, "high": 1000.0},
    "a linear scale over decades that is meant": {**LR, "log": False, "linear": True},
    "a linear scale over two decades": {**LR, "low": 1e-3, "log": False},
    "negative bounds": {**DROPOUT, "low": -5.0, "high": -1.0},
    "a dividing step": {**DROPOUT, "step": 0.1},
    "whole bounds written as floats": {**DEPTH, "low": 1.0, "high": 4.0},
    "a whole step": {**DEPTH, "high": 7, "step": 2},
    "an int on a log scale": {**DEPTH, "log": True},
    "powers of two": BATCH_SIZE,
    "a power of two from one": {**BATCH_SIZE, "low": 1},
    "choices": ACTIVATION,
    "one choice": {**ACTIVATION, "choices": ["relu"]},
    "choices of several kinds": {**ACTIVATION, "choices": ["relu", None, True, 0.5]},
    "named choices": {**ACTIVATION, "choices": {"none": None, "some": [1, 2]}},
    "sub-configs": OPTIMIZER,
    "a role": {**LR, "role": "scientific"},
    "several paths": {**without(LR, "path"), "paths": ["model.network.width", "datamodule.batch_size"]},
    "an argument that the config does not say": {**LR, "path": "model.optimizer.weight_decay"},
    "a number of levels": {**LR, "levels": 5},
    "a list of levels": {**LR, "levels": [1e-4, 1e-2]},
    "all integers": {**DEPTH, "levels": "all"},
    "all steps": {**DROPOUT, "step": 0.1, "levels": "all"},
    "levels of a power": {**BATCH_SIZE, "levels": [16, 256]},
}


@pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_accepted(entry: Entry) -> None:
    assert accepted(x=entry).names == ("x",)


def test_a_parameter_is_read_as_it_is_written() -> None:
    lr = accepted(lr={**LR, "levels": 4, "role": "scientific"})["lr"]
    assert (lr.paths, lr.type, lr.low, lr.high, lr.log) == (("model.optimizer.lr",), "float", 1e-4, 1e-1, True)
    assert lr.levels == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1))
    assert lr.role == "scientific"


@pytest.mark.parametrize(
    ("entry", "levels"),
    [
        (LR, None),
        (DEPTH, None),
        ({**DEPTH, "levels": "all"}, (1, 2, 3, 4)),
        (BATCH_SIZE, (16, 32, 64, 128, 256)),
        (ACTIVATION, ("relu", "tanh", "gelu")),
        ({**ACTIVATION, "levels": ["tanh"]}, ("tanh",)),
    ],
)
def test_only_choices_and_powers_have_levels_unasked(entry: Entry, levels: tuple[Any, ...] | None) -> None:
    assert accepted(x=entry)["x"].levels == levels


@pytest.mark.parametrize("entries", [None, {}])
def test_an_empty_space_is_told(entries: Any) -> None:
    (problem,) = read(entries)[1]
    assert (problem.key, problem.complaint) == ("search_space", "is empty")


def test_a_parameter_that_is_no_mapping_is_told() -> None:
    assert read({"lr": 0.1})[1] == [Problem("search_space.lr", "is 0.1", "give a mapping of keys to values")]
    removed = Problem("search_space.lr", "is null", "remove it with ~search_space.lr")
    assert read({"lr": None, "depth": DEPTH})[1] == [removed]


def test_all_mistakes_of_all_parameters_are_told_at_once() -> None:
    found = problems_of(
        lr={**LR, "low": 0, "role": "main", "pathh": "x"},
        depth={**DEPTH, "low": 1.5, "path": "model.network.deth"},
        activation={**ACTIVATION, "choices": []},
        dropout={**DROPOUT, "when": {"activatoin": ["relu"]}},
    )
    assert {problem.key for problem in found} == {
        "search_space.lr.low",
        "search_space.lr.role",
        "search_space.lr.pathh",
        "search_space.depth.low",
        "search_space.depth.path",
        "search_space.activation.choices",
        "search_space.dropout.when.activatoin",
    }
    assert len(found) == 7


MOMENTUM = {
    "path": "model.optimizer.momentum",
    "type": "float",
    "low": 0.5,
    "high": 0.9,
    "when": {"optimizer": ["sgd"]},
}


def test_parents_come_first_whatever_the_order_in_the_file() -> None:
    nested = {**DROPOUT, "when": {"momentum": [0.9]}}
    assert accepted(dropout=nested, momentum=MOMENTUM, optimizer=OPTIMIZER).names == (
        "optimizer",
        "momentum",
        "dropout",
    )


def test_a_single_value_is_a_condition_too() -> None:
    space = accepted(optimizer=OPTIMIZER, momentum={**MOMENTUM, "when": {"optimizer": "sgd"}})
    assert space["momentum"].when == {"optimizer": ("sgd",)}


def test_a_condition_on_an_unknown_parameter_is_told_with_the_nearest() -> None:
    (problem,) = problems_of(optimizer=OPTIMIZER, dropout={**DROPOUT, "when": {"optimiser": ["sgd"]}})
    assert problem.key == "search_space.dropout.when.optimiser"
    assert "names no parameter" in problem.complaint
    assert "did you mean optimizer?" in problem.remedy


@pytest.mark.parametrize(
    ("parent", "value", "remedy"),
    [
        (OPTIMIZER, "sgdd", "did you mean sgd?"),
        (BATCH_SIZE, 48, "16…256"),
        (LR, 0.5, "0.0001…0.1"),
    ],
)
def test_a_condition_that_never_holds_is_told(parent: Entry, value: Any, remedy: str) -> None:
    (problem,) = problems_of(parent=parent, dropout={**DROPOUT, "when": {"parent": [value]}})
    assert problem.key == "search_space.dropout.when.parent"
    assert f"holds [{value!r}], which parent never is" in problem.complaint
    assert remedy in problem.remedy


def test_a_condition_on_a_parameter_with_mistakes_is_not_told_as_another_one() -> None:
    (problem,) = problems_of(
        optimizer={**OPTIMIZER, "type": "categoricall"}, dropout={**DROPOUT, "when": MOMENTUM["when"]}
    )
    assert problem.key == "search_space.optimizer.type"


def test_conditions_in_a_circle_are_told() -> None:
    first = {**ACTIVATION, "when": {"second": [0.0]}}
    second = {**DROPOUT, "when": {"first": ["relu"]}}
    (problem,) = problems_of(first=first, second=second, lr=LR)
    assert problem.key == "search_space"
    assert "circle: first → second" in problem.complaint


def test_a_condition_on_itself_is_a_circle() -> None:
    (problem,) = problems_of(dropout={**DROPOUT, "when": {"dropout": [0.1]}})
    assert "circle: dropout" in problem.complaint


def test_two_parameters_that_set_one_path_are_told() -> None:
    (problem,) = problems_of(lr=LR, rate={**LR, "high": 1e-2})
    assert problem.key == "search_space.rate.path"
    assert "model.optimizer.lr is also set by lr" in problem.complaint


def test_two_parameters_that_exclude_each_other_may_set_one_path() -> None:
    small = {**LR, "high": 1e-2, "when": {"optimizer": ["adam"]}}
    large = {**LR, "low": 1e-3, "when": {"optimizer": ["sgd"]}}
    assert accepted(optimizer=OPTIMIZER, small=small, large=large).names == ("optimizer", "small", "large")


def test_conditions_that_overlap_do_not_exclude_each_other() -> None:
    small = {**LR, "when": {"optimizer": ["adam", "sgd"]}}
    large = {**LR, "when": {"optimizer": ["sgd"]}}
    (problem,) = problems_of(optimizer=OPTIMIZER, small=small, large=large)
    assert problem.key == "search_space.large.path"


def test_a_path_is_sought_in_the_sub_config_under_which_its_parameter_is_active() -> None:
    inner = {**DROPOUT, "path": "model.network.rate", "when": {"network": ["cnn"]}}
    choices = {"mlp": {"width": 64}, "cnn": {"rate": 0.1}}
    network = {"path": "model.network", "type": "categorical", "choices": choices}
    assert accepted(network=network, rate=inner).names == ("network", "rate")
    (problem,) = problems_of(network=network, rate=without(inner, "when"))
    assert problem.key == "search_space.rate.path"
    assert "model.network.rate does not exist in the config when network is mlp" in problem.complaint
    assert "model.network.width" in problem.remedy


def test_the_space_knows_its_own_choice_as_a_place_to_write_to() -> None:
    assert accepted(momentum=MOMENTUM, optimizer=OPTIMIZER)["momentum"].paths == ("model.optimizer.momentum",)


def test_a_fixed_parameter_is_not_searched() -> None:
    assert accepted(lr={**LR, "role": "fixed"}, dropout=DROPOUT).names == ("dropout",)
    (problem,) = problems_of(lr={**LR, "role": "fixed"})
    assert "holds only fixed parameters" in str(problem)


def test_a_condition_on_a_fixed_parameter_is_told() -> None:
    (problem,) = problems_of(lr={**LR, "role": "fixed"}, dropout={**DROPOUT, "when": {"lr": [1e-3]}})
    assert "search_space.dropout.when.lr names a fixed parameter" in str(problem)


@pytest.mark.parametrize(("low", "high", "step"), [(1e15, 1e15 + 1, 0.1), (1.0, 2.0, 1e-15), (1.0, 1 + 1e-15, 1e-300)])
def test_a_step_that_floats_cannot_tell_apart_is_told(low: float, high: float, step: float) -> None:
    told = problems_of(lr={**LR, "low": low, "high": high, "step": step, "log": False, "levels": "all"})
    assert any("too small a step for the digits of a float" in str(problem) for problem in told)
