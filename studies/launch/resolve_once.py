"""Calls resolvers of a config once, in the command's process, if they give all trials the same value.

Context: workers may run in other processes and on other machines. These have other environment variables and may lack
the resolvers. Choice: a call that depends neither on the point nor on the seed is made here, and workers get its value.
Any other call is left to the worker, see `studies.config.resolvers`. Cost: a resolver may read a searched key without
naming it. Only a comparison of some points shows that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.resolvers import CALL
from studies.config.settings import StudySettings
from studies.config.space import SearchSpace, plain_values
from studies.secrets.names import is_secret_name
from studies.secrets.sources import variables
from studies.storage.following import depending

BUILT_IN = "oc."  # resolvers that every process has; only `oc.env` differs between them
ENVIRONMENT = "oc.env"
N_POINTS = 6  # at which a call has to give the same value
ACCUMULATE = "trainer.accumulate_grad_batches"  # which a retry after out-of-memory writes, with the batch size


def resolve_once(settings: StudySettings) -> DictConfig:
    """Return the template for workers: the value replaces each resolver call that is the same for all trials.

    SLURM's settings are written into a file, so their secrets stay calls.
    """
    linked, halves = [link.target for link in settings.links], settings.out_of_memory.retry != "none"
    halved = [settings.out_of_memory.batch_size, ACCUMULATE] if halves else []
    changing = depending(settings.template, settings.space, besides=[*linked, *halved])
    written = OmegaConf.to_container(settings.template, resolve=False)
    calls = [path for path in _calls(written, ()) if ".".join(map(str, path)) not in changing]
    if settings.launcher.name == "slurm":
        calls = [path for path in calls if not _is_secret(path, _at(written, path))]
    fixed = [path for path in calls if _is_the_same(settings.template, settings.space, path)]
    if not fixed:
        return settings.template
    template = OmegaConf.create(written, flags={"allow_objects": True})
    assert isinstance(template, DictConfig)
    for path in fixed:
        node = _at(template, path[:-1])
        node[path[-1]] = plain_values(_at(settings.template, path))
    return template


def _calls(node: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the paths of texts that call `oc.env` or a resolver that workers may lack."""
    if isinstance(node, str):
        names = CALL.findall(node)
        return [path] if any(name == ENVIRONMENT or not name.startswith(BUILT_IN) for name in names) else []
    if not isinstance(node, Mapping | list):
        return []
    children = node.items() if isinstance(node, Mapping) else enumerate(node)
    return [found for key, child in children for found in _calls(child, (*path, key))]


def _is_secret(path: tuple[Any, ...], text: str) -> bool:
    return any(is_secret_name(name) for name in (*map(str, path), *variables(text)))


def _is_the_same(template: DictConfig, space: SearchSpace, path: tuple[Any, ...]) -> bool:
    """Return whether the text at `path` gives one value, at some points and without a point.

    A text that differs from call to call counts too: all trials get the same one of its values.
    """
    try:
        value, again = (plain_values(_at(template, path)) for _ in range(2))
        if value != again:
            return True
        points = space.corners(limit=N_POINTS)
        return all(plain_values(_at(space.apply(template, point), path)) == value for point in points)
    except (OmegaConfBaseException, LookupError, TypeError):
        return False  # below a choice, or reported when the points are tried


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node
