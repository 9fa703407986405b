"""Imports what a study's config names, before the state of the process is looked at.

What the import of a module sets stays, as it does in a script. So all is imported at once: else the trials of a worker
would differ by which of them came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.settings import StudySettings
from studies.config.targets import TargetBroken, find_target

_done: list[tuple[DictConfig, tuple[type, ...]]] = []  # of the study that this process works for


def import_targets(settings: StudySettings) -> tuple[type, ...]:
    """Import each `_target_` in the config and the choices of `settings`, and return those that are classes of users.

    What cannot be imported is passed over: whoever builds it says so.
    """
    if not _done or _done[0][0] is not settings.template:
        config = _plain(settings.template)
        choices = [[*parameter.choices.values()] for parameter in settings.space.parameters]
        found = [_imported(name) for name in _targets([config, choices])]
        classes = dict.fromkeys(one for one in found if isinstance(one, type))
        _done[:] = [(settings.template, tuple(classes))]
    return _done[0][1]


def _plain(template: DictConfig) -> Any:
    """Return the config as plain values, with its references resolved where all can be."""
    try:
        return OmegaConf.to_container(template, resolve=True)
    except OmegaConfBaseException:  # whoever resolves it says so
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
