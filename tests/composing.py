"""Configs for tests, composed as seldom as possible, which takes most of the time of a small test."""

from __future__ import annotations

import copy
import functools

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from shell import USERS

from studies.config.composing.configs import compose, config_dir

GROUPS = {folder.name for folder in config_dir().iterdir() if folder.is_dir()}
DERIVED = {"hydra", "objective", "output_dir", "select"}  # keys that `compose` itself reads or writes


def composed(*overrides: str) -> DictConfig:
    """A config of the test's own with these overrides.

    Each is composed once a test run. Plain values at the end of the overrides are written into a copy, as by Hydra.
    """
    first = next((i for i in range(len(overrides)) if all(map(_is_plain_value, overrides[i:]))), len(overrides))
    config = copy.deepcopy(_composed(*overrides[:first]))
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides[first:])):
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except (OmegaConfBaseException, HydraException):
        return _composed(*overrides)  # which raises what a command would raise
    return config


def _is_plain_value(override: str) -> bool:
    """Whether an override only sets a value: it chooses, adds and removes nothing, and nothing is derived from it."""
    key, found, _ = override.partition("=")
    names = key.split(".")
    if not found or names[0] in DERIVED or not all(name.isidentifier() for name in names):
        return False
    return len(names) > 1 or key not in GROUPS


@functools.cache
def _composed(*overrides: str) -> DictConfig:
    return compose(overrides, config_dirs=[str(USERS / "conf")])
