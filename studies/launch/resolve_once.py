"""Calls those resolvers of a config in the command's process that give all trials the same.

Context: workers may run in other processes and machines. These have other environment variables and may lack the
resolvers. Choice: a call that depends neither on the point nor on the seed is made here, and workers get its value. Any
other call is left to the worker, see `studies.resolvers`. Cost: a resolver may read a searched key without naming it.
That shows only in a comparison of some points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.launch.remote import writes_jobs
from studies.resolvers import CALL
from studies.secret_names import is_secret_name
from studies.secret_sources import variables
from studies.settings import StudySettings
from studies.storage.following import depending

BUILT_IN = "oc."  # resolvers of every process, but for the one that reads the environment
ENVIRONMENT = "oc.env"
N_POINTS = 6  # at which a call has to give the same
ACCUMULATE = "trainer.accumulate_grad_batches"


def resolved_here(settings: StudySettings) -> StudySettings:
    """Return `settings` for workers: calls of resolvers that are the same for all trials are replaced by their values.

    Secrets stay calls if the settings are written into a file.
    """
    changing = depending(settings, besides=_changed_in_a_trial(settings))
    written = OmegaConf.to_container(settings.template, resolve=False)
    calls = [path for path in _calls(written, ()) if ".".join(map(str, path)) not in changing]
    if writes_jobs(settings):
        calls = [path for path in calls if not _is_secret(path, _at(written, path))]
    fixed = [path for path in calls if _is_the_same(settings, path)]
    if not fixed:
        return settings
    template = OmegaConf.create(written, flags={"allow_objects": True})
    assert isinstance(template, DictConfig)
    for path in fixed:
        node = _at(template, path[:-1])
        node[path[-1]] = _plain(_at(settings.template, path))
    return replace(settings, template=template)


def _changed_in_a_trial(settings: StudySettings) -> list[str]:
    """Return the keys that links and out-of-memory write, besides the point."""
    linked = [link.target for link in settings.links]
    halved = [settings.out_of_memory.batch_size, ACCUMULATE] if settings.out_of_memory.retry != "none" else []
    return [*linked, *halved]


def _calls(node: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the paths of the texts with a call of `oc.env`, or of a resolver that a worker may lack."""
    if isinstance(node, str):
        names = CALL.findall(node)
        return [path] if any(name == ENVIRONMENT or not name.startswith(BUILT_IN) for name in names) else []
    if not isinstance(node, Mapping | list):
        return []
    children = node.items() if isinstance(node, Mapping) else enumerate(node)
    return [found for key, child in children for found in _calls(child, (*path, key))]


def _is_secret(path: tuple[Any, ...], text: str) -> bool:
    return any(is_secret_name(name) for name in (*map(str, path), *variables(text)))


def _is_the_same(settings: StudySettings, path: tuple[Any, ...]) -> bool:
    """Return whether the text at `path` gives the same at some points as without one.

    A text that differs from call to call counts as the same: all trials get one value of it.
    """
    try:
        value, again = (_plain(_at(settings.template, path)) for _ in range(2))
        if value != again:
            return True
        points = settings.space.corners(limit=N_POINTS)
        return all(_plain(_at(settings.space.apply(settings.template, point), path)) == value for point in points)
    except (OmegaConfBaseException, KeyError, TypeError, IndexError):  # below a choice, or told by who tries the points
        return False


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value
