"""The YAML of models and data: every knob is there, and Hydra builds from it what it says."""

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import lightning_modules
from lightning_modules import MLP, Classifier, CosineDecay

CONF = Path(__file__).parents[2] / "conf"
MODELS = ["mlp", "cnn"]
DATA = ["mnist", "fashion_mnist", "digits", "gratings"]


def composed(model: str, datamodule: str) -> DictConfig:
    groups = {
        "seed": 3,
        "model": OmegaConf.load(CONF / "model" / f"{model}.yaml"),
        "datamodule": OmegaConf.load(CONF / "datamodule" / f"{datamodule}.yaml"),
    }
    return OmegaConf.create(groups)


@pytest.mark.parametrize("datamodule", DATA)
@pytest.mark.parametrize("model", MODELS)
def test_every_pair_builds_and_fits_together(model: str, datamodule: str) -> None:
    config = composed(model, datamodule)
    classifier = hydra.utils.instantiate(config.model)
    data = hydra.utils.instantiate(config.datamodule)
    assert type(classifier) is Classifier
    assert data.split_seed == 3
    assert classifier(torch.zeros(2, *data.image_shape)).shape == (2, data.n_classes)


@pytest.mark.parametrize(
    ("group", "name", "node"),
    [("model", name, node) for name in MODELS for node in ("", "network")]
    + [("datamodule", name, node) for name in DATA for node in ("", "augmentation")],
)
def test_every_argument_has_its_key(group: str, name: str, node: str) -> None:
    config: Any = OmegaConf.load(CONF / group / f"{name}.yaml")
    config = config[node] if node else config
    target = getattr(lightning_modules, config._target_.removeprefix("lightning_modules."))
    keys = {key for key in config if not key.startswith("_")}
    assert keys == set(inspect.signature(target).parameters)


def test_lists_arrive_as_plain_lists() -> None:
    config = composed("mlp", "digits")
    config.model.network = {**config.model.network, "n_layers": 2, "width": [8, 4]}
    classifier = hydra.utils.instantiate(config.model)
    assert type(classifier._build_optimizer.keywords["betas"]) is list
    assert isinstance(classifier.network, MLP)


def test_a_schedule_and_another_optimizer_can_be_chosen() -> None:
    config = composed("mlp", "digits")
    config.model.schedule = {"_target_": "lightning_modules.CosineDecay", "floor": 0.1}
    config.model.optimizer = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1}
    classifier = hydra.utils.instantiate(config.model)
    assert classifier._schedule == CosineDecay(floor=0.1)
    assert isinstance(classifier._build_optimizer, partial)
    assert classifier._build_optimizer.func is torch.optim.SGD
