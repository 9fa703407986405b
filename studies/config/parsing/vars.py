"""Checks the section `vars`: values of the user's own, for other keys to use as `${vars.NAME}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import FIXED_KEYS
from studies.config.space import SearchSpace
from studies.errors import Problems


def check_vars(template: DictConfig, space: SearchSpace, problems: Problems) -> None:
    """Add a problem for each searched variable that no key of a trial's config uses."""
    written = OmegaConf.to_container(template, resolve=False)
    assert isinstance(written, dict)
    texts = [text for key in FIXED_KEYS for text in _texts(written.get(key)) if "${" in text]
    for parameter in space:
        for path in parameter.paths:
            if path.startswith("vars.") and not any(path in text or "${." in text for text in texts):
                remedy = f"write ${{{path}}} where a trial needs it, or search another key"
                problems.add(f"search_space.{parameter.name}.path", f"is {path}, which no key refers to", remedy)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping | list):
        for child in node.values() if isinstance(node, Mapping) else node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node
