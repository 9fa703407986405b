"""Imports every target of a study's config before the state of the process is read.

A module's import may set something for the whole process. That stays, as it does in a script. So all targets are
imported at once: otherwise the trials of a worker would differ by the order of their imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.space import SearchSpace
from studies.config.targets import target_of

_done: list[tuple[DictConfig, tuple[type, ...]]] = []  # of this process's study


def import_targets(template: DictConfig, space: SearchSpace) -> tuple[type, ...]:
    """Import each `_target_` in the config `template` and the choices of `space`. Return the users' classes.

    Targets that fail to import are passed over: building them raises the error.
    """
    if not _done or _done[0][0] is not template:
        config = _plain(template)
        choices = [[*parameter.choices.values()] for parameter in space.parameters]
        classes = dict.fromkeys(one for one in _targets([config, choices]) if isinstance(one, type))
        _done[:] = [(template, tuple(classes))]
    return _done[0][1]


def _plain(template: DictConfig) -> Any:
    """Return the config as plain values, with its references resolved where all can be."""
    try:
        return OmegaConf.to_container(template, resolve=True)
    except OmegaConfBaseException:  # building the trial reports it
        return OmegaConf.to_container(template, resolve=False)


def _targets(node: Any) -> Iterator[Any]:
    if isinstance(node, list | tuple):
        for member in node:
            yield from _targets(member)
    elif isinstance(node, dict):
        if "$" not in str(node.get("_target_")):
            yield target_of(node)
        for member in node.values():
            yield from _targets(member)
