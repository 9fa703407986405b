"""Configs for tests, composed as seldom as possible, which takes most of the time of a small test."""

from __future__ import annotations

import copy
import functools
import re

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

    Each is composed once a test run. Plain values at the end of the overrides are written into a copy, as by Hydra,
    which makes all its choices of options before it sets a value.
    """
    choices = [override for override in overrides if is_choice(override)]
    others = [override for override in overrides if not is_choice(override)]
    first = next((i for i in range(len(others)) if all(map(_is_plain_value, others[i:]))), len(others))
    config = copy.deepcopy(_composed(*choices, *others[:first]))
    try:
        for override in OverridesParser.create().parse_overrides(others[first:]):
            key, adds = override.key_or_group, override.is_add()
            if adds and OmegaConf.select(config, key) is not None:
                return _composed(*overrides)
            OmegaConf.update(config, key, override.value(), merge=True, force_add=adds)
    except (OmegaConfBaseException, HydraException):
        return _composed(*overrides)  # which raises what a command would raise
    return config


def is_choice(override: str) -> bool:
    """Whether an override chooses an option of a group."""
    key, _, option = override.lstrip("+").partition("=")
    return key in GROUPS and re.fullmatch(r"[\w/-]+", option) is not None


def _is_plain_value(override: str) -> bool:
    """Whether an override only sets or adds a value: it chooses and removes nothing, and nothing is derived from it."""
    key, found, _ = override.removeprefix("+").partition("=")
    names = key.split(".")
    if not found or names[0] in DERIVED or not all(name.isidentifier() for name in names):
        return False
    return len(names) > 1 or key not in GROUPS


@functools.cache
def _composed(*overrides: str) -> DictConfig:
    return compose(overrides, config_dirs=[str(USERS / "conf")])
