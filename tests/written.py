"""The digits study with a space of two parameters, and settings read from what it says otherwise."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem

LR = {"path": "model.optimizer.lr", "type": "float", "low": 1e-4, "high": 1e-1, "log": True, "levels": 3}
BATCH_SIZE = {"path": "datamodule.batch_size", "type": "power_of_two", "low": 16, "high": 64}
DECAY = {"path": "model.optimizer.weight_decay", "type": "float", "low": 0.0, "high": 0.9, "when": {"batch_size": [16]}}
SPACE = {"lr": LR, "batch_size": BATCH_SIZE}
GRID = {"sampler": {"name": "grid"}, "pruner": {"name": "none"}, "n_trials": None}
GATED = {"search_space": {**SPACE, "gate": {"path": "trainer.deterministic", "type": "categorical", "choices": [True]}}}
LAW = ["lr", "batch_size"]
EXPLORE = {"explore_fraction": 0.1}
SERIAL = {"launcher": {"name": "serial"}, "workers": 1}


@cache
def composed() -> DictConfig:
    """The digits study with a space of two parameters."""
    config = compose(["+study=digits"])
    OmegaConf.set_struct(config, False)
    config.search_space = SPACE
    return config


def changed(**values: Any) -> DictConfig:
    """The config with `values` in the place of what it has; `a__b` means the key a.b."""
    config = copy.deepcopy(composed())
    for key, value in values.items():
        OmegaConf.update(config, key.replace("__", "."), value, merge=False, force_add=True)
    return config


def read(**values: Any) -> StudySettings:
    return parse_settings(changed(**values), checks=CHECKS)


def problems_of(**values: Any) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read(**values)
    return caught.value.problems
