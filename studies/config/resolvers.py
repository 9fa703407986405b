"""The resolvers of a config, called by `${NAME:…}`, and their registration in a process.

Every process needs its own registration. Hydra imports the modules of the package `hydra_plugins` when a command
begins, and the module of a `_target_` may register resolvers on import. A worker does both if a resolver is missing.
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
    Plugins.instance()  # imports hydra_plugins the first time
    for key, text in texts(written):
        if key.rpartition(".")[2] == "_target_" and _missing(called):
            try:
                find_target(text)
            except TargetBroken:  # reported when the target is checked
                continue


def texts(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text in plain values with its dotted key."""
    if isinstance(values, Mapping | list):
        for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from texts(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, str):
        yield prefix, values


def _missing(names: set[str]) -> bool:
    return any(not OmegaConf.has_resolver(name) for name in names)
