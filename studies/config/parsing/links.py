"""Parses `links`: attributes of the built data module and the config paths to write them to.

Until a trial has built its data, a target keeps its value in the config, or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.resolvers import leaves
from studies.config.settings import Link
from studies.config.space import SearchSpace, path_exists, plain_values, select
from studies.errors import Problems

SOURCE = "datamodule"
TARGETS = ("model", "callbacks", "trainer")


def with_targets(config: DictConfig) -> DictConfig:
    """Return `config` with null at each link's target that has no value. The config itself is changed."""
    for target in _flat(_written(config)):
        if path_exists(config, target) and select(config, target) is None:
            OmegaConf.update(config, target, None, force_add=True)
    return config


def parse_links(config: DictConfig, space: SearchSpace, problems: Problems) -> tuple[Link, ...]:
    """Return the links of `config`, and add every problem with them."""
    written = _written(config)
    if written is not None and not isinstance(written, Mapping):
        problems.add("links", f"is {written!r}", "give a mapping of config paths to attributes of the data module")
    found = _flat(written)
    datamodule = select(config, SOURCE)
    if found and not (isinstance(datamodule, DictConfig) and "_target_" in datamodule):
        remedy = "name a data module, or remove the links"
        problems.add("links", "read attributes of a data module, and there is none", remedy)
        return ()
    for target, source in found.items():
        _check_target(target, config, space, problems)
        _check_source(target, source, problems)
    return tuple(Link(target, str(source)) for target, source in found.items())


def _written(config: DictConfig) -> Any:
    """Return the resolved links, or None if they cannot be resolved. That is reported with the whole config."""
    try:
        return plain_values(config.get("links"))
    except OmegaConfBaseException:
        return None


def _flat(written: Any) -> dict[str, Any]:
    """Return targets with their sources.

    On the command line, `+links.model.n_classes=…` makes a nested mapping, which comes after the same target of a file.
    """
    found = leaves(written if isinstance(written, Mapping) else {}, in_lists=False)
    return {target: source for target, source in found if source is not None and not isinstance(source, Mapping)}


def _check_target(target: str, config: DictConfig, space: SearchSpace, problems: Problems) -> None:
    key = f"links.{target}"
    if target.partition(".")[0] not in TARGETS:
        complaint = "is not below model, callbacks or trainer, which are built after the data"
        problems.add(key, complaint, f"give a path below one of {', '.join(TARGETS)}")
        return
    if not path_exists(config, target):
        remedy = "give the path of a key that the config has, or of an argument that its callable names"
        problems.add(key, "does not exist in the config", remedy)
    for parameter in space:
        for path in parameter.paths:
            if f"{target}.".startswith(f"{path}.") or f"{path}.".startswith(f"{target}."):
                complaint = f"is written by a link, and search_space.{parameter.name} searches {path}"
                problems.add(key, complaint, "remove the link or the parameter")


def _check_source(target: str, source: Any, problems: Problems) -> None:
    room, _, attribute = str(source).partition(".")
    if room != SOURCE or not attribute:
        problems.add(f"links.{target}", f"is {source!r}", "give datamodule.ATTRIBUTE: only the data module is read")
    elif not all(part.isidentifier() for part in attribute.split(".")):
        remedy = "give names with dots between them, and make a property of a call"
        problems.add(f"links.{target}", f"is {source!r}, which is no attribute", remedy)
