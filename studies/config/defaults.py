"""The values that parameters have in the config itself, before anything is searched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from studies.config.parameter import Parameter, Value
from studies.config.parsing.section import is_number
from studies.config.space import Point, SearchSpace, path_exists, select, select_plain

NEAR = 1e-6  # relative: the same number up to rounding


def defaults_of(space: SearchSpace, config: DictConfig) -> Point:
    """Return the config's own value of each parameter that has one, whether or not it lies in the searched range.

    Of a categorical it is the choice with the config's value. A choice with a mapping is met if the config has all its
    entries, for other parameters may set more.
    """
    return {name: value for parameter in space for name, value in _default(parameter, config)}


def meets(own: Any, written: Any) -> bool:
    """Return whether a config's `own` value is the `written` one up to rounding, or a mapping with all its entries."""
    if is_number(own) and is_number(written):
        return math.isclose(own, written, rel_tol=NEAR)
    if isinstance(own, Mapping) and isinstance(written, Mapping):
        return all(key in own and meets(own[key], value) for key, value in written.items())
    return bool(own == written) and isinstance(own, bool) == isinstance(written, bool)


def _default(parameter: Parameter, config: DictConfig) -> Iterator[tuple[str, Value]]:
    """Yield the name with the value that all paths of `parameter` have, nothing without one."""
    if not parameter.paths or not all(_is_set(config, path) for path in parameter.paths):
        return
    written = [select_plain(config, path) for path in parameter.paths]
    if parameter.type != "categorical":
        if all(is_number(own) and meets(own, written[0]) for own in written):
            yield parameter.name, written[0]
        return
    met = [name for name, choice in parameter.choices.items() if all(meets(own, choice) for own in written)]
    whole = [name for name in met if all(own == parameter.choices[name] for own in written)]
    if len(whole or met) == 1:
        yield parameter.name, (whole or met)[0]


def _is_set(config: DictConfig, path: str) -> bool:
    """Return whether the config has the key. An argument that it leaves to a callable has a value not known here."""
    parent, _, key = path.rpartition(".")
    node = select(config, parent) if parent else config
    return path_exists(config, path) and not (isinstance(node, DictConfig) and key not in node)
