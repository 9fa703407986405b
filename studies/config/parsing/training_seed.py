"""`${training_seed}` in a config: the training seed of each trial, known only when the trial begins.

While a config is parsed, the key holds the study's seed, so that every reference to it can be resolved. A choice of the
search space keeps the reference as text, as it is written into a trial's config later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import TRAINING_SEED
from studies.errors import Problems

REFERENCE = f"${{{TRAINING_SEED}}}"
_MARK = f"<{TRAINING_SEED}>"  # in place of the reference while the search space is resolved


def with_stand_in(config: DictConfig, problems: Problems) -> DictConfig:
    """Return a copy of `config` with the study's seed as training seed. Add a problem if the config sets one."""
    given = config.get(TRAINING_SEED)
    if given is not None:
        remedy = f"set seed instead, and write {REFERENCE} where the config needs it"
        problems.add(TRAINING_SEED, f"is {given!r}, but each trial has a training seed of its own", remedy)
    seed = None if OmegaConf.is_missing(config, "seed") else config.get("seed")
    return _with(config, seed if isinstance(seed, int) else 0)


def space_values(config: DictConfig) -> Any:
    """Return the resolved `search_space` of `config` as plain values. References to the training seed stay.

    Raises OmegaConf's errors if another interpolation cannot be resolved.
    """
    node = _with(config, _MARK)["search_space"]
    return _with_references(OmegaConf.to_container(node, resolve=True)) if OmegaConf.is_config(node) else node


def _with(config: DictConfig, value: int | str) -> DictConfig:
    copied = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(copied, DictConfig)
    copied[TRAINING_SEED] = value
    return copied


def _with_references(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _with_references(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_with_references(value) for value in values]
    return values.replace(_MARK, REFERENCE) if isinstance(values, str) else values
