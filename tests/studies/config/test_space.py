from __future__ import annotations

import math
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FixedTrial

from studies.config.parameter import Parameter
from studies.config.space import SearchSpace, is_active, path_exists

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9}
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.001}


def categorical(name: str, path: str, choices: Any, **rest: Any) -> Parameter:
    named = choices if isinstance(choices, dict) else {choice: choice for choice in choices}
    return Parameter(name, (path,), "categorical", choices=named, levels=tuple(named), **rest)


def ranged(name: str, path: str, low: float, high: float, levels: tuple[Any, ...], **rest: Any) -> Parameter:
    return Parameter(name, (path,), "float", low=low, high=high, levels=levels, **rest)


OPTIMIZER = categorical("optimizer", "model.optimizer", {"adam": ADAM, "sgd": SGD})
LR = ranged("lr", "model.optimizer.lr", 1e-3, 1e-1, (1e-3, 1e-2, 1e-1), log=True)
MOMENTUM = ranged("momentum", "model.optimizer.momentum", 0.5, 0.9, (0.5, 0.9), when={"optimizer": ("sgd",)})
NESTEROV = categorical(
    "nesterov", "model.optimizer.nesterov", [True, False], when={"optimizer": ("sgd",), "momentum": (0.9,)}
)
WIDTH = Parameter(
    "width", ("model.width", "model.head.width"), "power_of_two", low=8, high=32, log=True, levels=(8, 16, 32)
)
SPACE = SearchSpace((OPTIMIZER, LR, MOMENTUM, NESTEROV, WIDTH))


@pytest.fixture
def config() -> DictConfig:
    return OmegaConf.create(
        {
            "model": {
                "optimizer": {"_target_": "torch.optim.Adam", "lr": 1.0},
                "width": 64,
                "head": {"_target_": "torch.nn.Linear", "width": 64, "double": "${model.width}"},
                "sizes": [1, 2, 3],
            },
            "datamodule": {"width": "${model.width}"},
        }
    )


def test_a_space_keeps_its_order_and_finds_its_parameters_by_name() -> None:
    assert SPACE.names == ("optimizer", "lr", "momentum", "nesterov", "width")
    assert len(SPACE) == 5
    assert SPACE["lr"] is LR
    assert SPACE.is_conditional
    assert not SearchSpace((LR, WIDTH)).is_conditional
    with pytest.raises(KeyError, match="lrr"):
        SPACE["lrr"]


def test_a_condition_holds_where_each_of_its_parents_has_an_allowed_value() -> None:
    assert is_active(NESTEROV, {"optimizer": "sgd", "momentum": 0.9})
    assert not is_active(NESTEROV, {"optimizer": "sgd", "momentum": 0.5})
    assert not is_active(NESTEROV, {"optimizer": "sgd"})
    assert is_active(LR, {})


@pytest.mark.parametrize(
    ("asked", "inactive"),
    [
        ({"optimizer": "adam", "lr": 0.01, "width": 8}, {"momentum", "nesterov"}),
        ({"optimizer": "sgd", "lr": 0.01, "momentum": 0.5, "width": 8}, {"nesterov"}),
        ({"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": True, "width": 8}, set()),
    ],
)
def test_a_trial_is_asked_for_active_parameters_only(asked: dict[str, Any], inactive: set[str]) -> None:
    trial = FixedTrial(asked)
    assert SPACE.suggest(trial) == asked
    assert set(SPACE.names) - set(trial.params) == inactive


def test_a_unit_point_becomes_the_same_quantiles_of_each_active_parameter() -> None:
    assert SPACE.from_unit([0.9, 0.5, 1.0, 0.0, 0.5]) == {
        "optimizer": "sgd",
        "lr": pytest.approx(1e-2),
        "momentum": 0.9,
        "nesterov": True,
        "width": 16,
    }
    assert set(SPACE.from_unit([0.1, 0.5, 1.0, 0.0, 0.5])) == {"optimizer", "lr", "width"}


def test_a_grid_multiplies_levels_over_the_parameters_that_are_active_together() -> None:
    cells = SPACE.grid()
    # adam: 3 lr × 3 width; sgd: 3 lr × 3 width × (momentum .5, or .9 with two values of nesterov)
    assert len(cells) == 3 * 3 + 3 * 3 * (1 + 2)
    assert len({tuple(sorted(cell.items(), key=str)) for cell in cells}) == len(cells)
    assert all("momentum" not in cell for cell in cells if cell["optimizer"] == "adam")
    assert {cell["momentum"] for cell in cells if "nesterov" in cell} == {0.9}


def test_an_unconditional_grid_is_the_plain_product() -> None:
    assert SearchSpace((LR, WIDTH)).grid() == [
        {"lr": lr, "width": width} for lr in (1e-3, 1e-2, 1e-1) for width in (8, 16, 32)
    ]


def test_corners_reach_each_end_each_choice_and_each_branch() -> None:
    corners = SPACE.corners(limit=100)
    for parameter in SPACE:
        assert {corner[parameter.name] for corner in corners if parameter.name in corner} >= set(parameter.corners())
    assert {"optimizer": "adam", "lr": 1e-3, "width": 8} in corners
    assert {"optimizer": "sgd", "lr": 1e-1, "momentum": 0.9, "nesterov": False, "width": 32} in corners
    assert all(corners.count(corner) == 1 for corner in corners)


def test_each_corner_has_exactly_its_active_parameters() -> None:
    for corner in SPACE.corners(limit=100):
        assert set(corner) == {p.name for p in SPACE if is_active(p, corner)}


def test_corners_are_cut_at_the_limit_with_both_extremes_first() -> None:
    assert SPACE.corners(limit=2) == SPACE.corners(limit=100)[:2]


def test_a_sub_config_is_replaced_before_its_children_are_set(config: DictConfig) -> None:
    children_first = SearchSpace((LR, MOMENTUM, OPTIMIZER))
    applied = children_first.apply(config, {"lr": 0.02, "momentum": 0.7, "optimizer": "sgd"})
    assert applied.model.optimizer == {"_target_": "torch.optim.SGD", "lr": 0.02, "momentum": 0.7}


def test_a_replaced_sub_config_keeps_nothing_of_the_old_one(config: DictConfig) -> None:
    config.model.optimizer.amsgrad = True
    assert SPACE.apply(config, {"optimizer": "adam"}).model.optimizer == ADAM


def test_a_value_is_written_to_each_of_its_paths(config: DictConfig) -> None:
    applied = SPACE.apply(config, {"width": 16})
    assert (applied.model.width, applied.model.head.width) == (16, 16)


def test_what_follows_a_searched_key_follows_the_point(config: DictConfig) -> None:
    applied = SPACE.apply(config, {"width": 16})
    assert (applied.datamodule.width, applied.model.head.double) == (16, 16)


def test_an_element_of_a_list_can_be_searched(config: DictConfig) -> None:
    space = SearchSpace((ranged("size", "model.sizes.1", 1.0, 9.0, ()),))
    assert space.apply(config, {"size": 7.0}).model.sizes == [1, 7.0, 3]
    with pytest.raises(KeyError):
        SearchSpace((ranged("size", "model.sizes.3", 1.0, 9.0, ()),)).apply(config, {"size": 7.0})


def test_applying_a_point_leaves_the_template_and_the_choices_alone(config: DictConfig) -> None:
    before = OmegaConf.to_yaml(config)
    applied = SPACE.apply(config, {"optimizer": "sgd", "lr": 0.02, "momentum": 0.7, "width": 8})
    applied.model.optimizer.lr = math.inf
    assert OmegaConf.to_yaml(config) == before
    assert (OPTIMIZER.choices["sgd"]["lr"], OPTIMIZER.choices["sgd"]["momentum"]) == (0.1, 0.9)


def test_a_closed_config_can_be_written_all_the_same(config: DictConfig) -> None:
    OmegaConf.set_struct(config, True)
    assert SPACE.apply(config, {"optimizer": "sgd", "width": 8}).model.optimizer.momentum == 0.9


@pytest.mark.parametrize("path", ["model.depth", "modle.width", "model.width.deeper", "depth"])
def test_a_path_that_does_not_exist_is_an_error_and_never_a_new_key(config: DictConfig, path: str) -> None:
    space = SearchSpace((ranged("depth", path, 1.0, 3.0, ()),))
    with pytest.raises(KeyError, match=rf"search_space\.depth\.path {path} does not exist"):
        space.apply(config, {"depth": 2.0})


def test_an_argument_of_a_callable_exists_whether_or_not_the_config_says_it(config: DictConfig) -> None:
    assert path_exists(config, "model.optimizer.weight_decay")
    assert SearchSpace((ranged("decay", "model.optimizer.weight_decay", 0.0, 1.0, ()),)).apply(
        config, {"decay": 0.5}
    ).model.optimizer == {"_target_": "torch.optim.Adam", "lr": 1.0, "weight_decay": 0.5}
    assert not path_exists(config, "model.optimizer.momentum")  # Adam has none
    assert not path_exists(config, "model.weight_decay")  # the model here has no _target_


def test_a_path_through_an_interpolation_that_leads_nowhere_does_not_exist(config: DictConfig) -> None:
    config.model.optimizer = "${nowhere}"
    assert not path_exists(config, "model.optimizer.lr")
