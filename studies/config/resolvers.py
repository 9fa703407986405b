"""The resolvers of a config, called by `${NAME:…}`, and how a process comes to have them.

A process knows the resolvers that were registered in it. Hydra imports the modules of the package `hydra_plugins`
when a command begins, and a module that `_target_` names may register its own when it is imported. A worker does both
where a resolver is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from studies.config.targets import TargetBroken, find_target

CALL = re.compile(r"\$\{\s*([A-Za-z_][\w.]*)\s*:")
REMEDY = (
    "register it in a module of the package hydra_plugins, or in the module that model._target_ names: "
    "each process imports these"
)


def load_resolvers(config: DictConfig) -> None:
    """Import modules that may register resolvers, if `config` calls a missing one."""
    written = OmegaConf.to_container(config, resolve=False)
    called = {name for _, text in texts(written) for name in CALL.findall(text)}
    if not _missing(called):
        return
    Plugins.instance()  # imports them the first time
    for key, text in texts(written):
        if key.rpartition(".")[2] == "_target_" and _missing(called):
            try:
                find_target(text)
            except TargetBroken:  # told when the target itself is looked at
                continue


def texts(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted keys of plain values that hold a text, with the text."""
    if isinstance(values, Mapping | list):
        for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from texts(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, str):
        yield prefix, values


def _missing(names: set[str]) -> bool:
    return any(not OmegaConf.has_resolver(name) for name in names)
