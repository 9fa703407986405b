"""The resolvers of a config, called by `${NAME:…}`, and their registration in a process.

Every process needs its own registration. Hydra imports the modules of the package `hydra_plugins` when a command
begins, and the module of a `_target_` may register resolvers on import. A worker does both if a resolver is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
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


def texts(values: Any) -> Iterator[tuple[str, str]]:
    """Yield each text in plain values with its dotted key."""
    return ((key, value) for key, value in leaves(values) if isinstance(value, str))


def leaves(values: Any, prefix: str = "", *, in_lists: bool = True) -> Iterator[tuple[str, Any]]:
    """Yield each value that holds no others with its dotted key. A list is one if `in_lists` is false."""
    if values and isinstance(values, Mapping | list if in_lists else Mapping):
        for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key), in_lists=in_lists)
    else:
        yield prefix, values


def with_texts(values: Any, change: Callable[[str], Any]) -> Any:
    """Return a copy of plain values with each text changed."""
    if isinstance(values, Mapping):
        return {key: with_texts(value, change) for key, value in values.items()}
    if isinstance(values, list):
        return [with_texts(value, change) for value in values]
    return change(values) if isinstance(values, str) else values


def _missing(names: set[str]) -> bool:
    return any(not OmegaConf.has_resolver(name) for name in names)
