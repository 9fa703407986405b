"""Imports every target of a study's config before the state of the process is read.

A module's import may set something for the whole process. That stays, as it does in a script. So all targets are
imported at once: otherwise the trials of a worker would differ by the order of their imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.space import SearchSpace
from studies.targets import TargetBroken, find_target

_done: list[tuple[DictConfig, tuple[type, ...]]] = []  # of this process's study


def import_targets(template: DictConfig, space: SearchSpace) -> tuple[type, ...]:
    """Import each `_target_` in the config `template` and the choices of `space`. Return the users' classes.

    Targets that fail to import are passed over: building them raises the error.
    """
    if not _done or _done[0][0] is not template:
        config = _plain(template)
        choices = [[*parameter.choices.values()] for parameter in space.parameters]
        found = [_imported(name) for name in _targets([config, choices])]
        classes = dict.fromkeys(one for one in found if isinstance(one, type))
        _done[:] = [(template, tuple(classes))]
    return _done[0][1]


def _plain(template: DictConfig) -> Any:
    """Return the config as plain values, with its references resolved where all can be."""
    try:
        return OmegaConf.to_container(template, resolve=True)
    except OmegaConfBaseException:  # building the trial reports it
        return OmegaConf.to_container(template, resolve=False)


@cache
def _imported(name: str) -> Any:
    try:
        return find_target(name)
    except TargetBroken:
        return None


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for member in node:
            yield from _targets(member)
    elif isinstance(node, dict):
        target = node.get("_target_")
        if isinstance(target, str) and "$" not in target:
            yield target
        for member in node.values():
            yield from _targets(member)
