"""The config's own values of parameters."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from studies.config.defaults import defaults_of
from studies.config.parameter import Parameter
from studies.config.space import SearchSpace

ADAM, SGD = {"_target_": "torch.optim.Adam"}, {"_target_": "torch.optim.SGD", "momentum": 0.9}
CONFIG = {
    "model": {
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
        "width": 64,
        "head": {"width": 64},
        "scheduler": None,
        "link": "${model.width}",
        "flag": True,
        "one": 1,
    }
}


def default(path: str | tuple[str, ...], choices: dict[Any, Any] | None = None) -> Any:
    paths = (path,) if isinstance(path, str) else path
    if choices is None:
        parameter = Parameter("x", paths, "float", low=0.0, high=1.0)
    else:
        parameter = Parameter("x", paths, "categorical", choices=choices)
    return defaults_of(SearchSpace((parameter,)), OmegaConf.create(CONFIG)).get("x", "none")


def test_a_number_is_the_configs_own_even_outside_of_the_range_or_linked() -> None:
    assert default("model.optimizer.lr") == 0.001
    assert default("model.width") == default("model.link") == 64


@pytest.mark.parametrize("path", ["model.depth", "model.scheduler", "model.flag", "model.optimizer.eps"])
def test_what_the_config_does_not_set_to_a_number_is_no_default(path: str) -> None:
    assert default(path) == "none"


def test_several_paths_have_to_agree() -> None:
    assert default(("model.width", "model.head.width")) == 64
    assert default(("model.width", "model.optimizer.lr")) == "none"


def test_a_choice_is_known_by_its_value_or_by_all_entries_of_its_mapping() -> None:
    assert default("model.optimizer", {"adam": ADAM, "sgd": SGD}) == "adam"
    assert default("model.optimizer", {"sgd": SGD}) == "none"
    assert default("model.width", {"narrow": 32, "wide": 64}) == "wide"
    assert default("model.scheduler", {None: None, "cosine": {"_target_": "x"}}) is None
    assert default("model.one", {True: True, False: False}) == "none"


def test_of_two_choices_that_are_met_the_whole_one_counts() -> None:
    whole = {**ADAM, "lr": 0.001}
    assert default("model.optimizer", {"plain": ADAM, "whole": whole}) == "whole"
    assert default("model.optimizer", {"plain": ADAM, "slow": {"lr": 0.001}}) == "none"
