"""Refuses values that would break every later step, whatever their keys mean.

Context: references (`${key}`, and YAML's aliases) can make a few lines as large as the memory. Deep nesting overflows
Python's stack. Half of a surrogate pair cannot be written. Choice: such values are refused before the config is parsed.
Cost: one walk through the config, some milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.errors import BadInput, Problem
from studies.secrets.sources import Path, child_of, target_of
from studies.text.yaml_text import DEEPEST, MOST

LONGEST = 1_000_000  # characters of a text
MOST_BITS = 1023  # of a whole number; floats, storages and messages take no longer one
SHOWN_KEYS = 4  # of a path, in messages
PER_VALUE = 1000  # characters of a text that count as one value
MOST_STEPS = 30  # references in a chain; OmegaConf makes 15 nested calls for each
REFERENCE = re.compile(r"\$\{\s*(?:oc\.(?:select|dict\.(?:keys|values))\s*:\s*)?['\"]?([^${}:,'\"\s]+)['\"]?\s*[,}]")


def refuse_unsound(config: DictConfig) -> None:
    """Raise `BadInput` with every value of `config` that cannot be read, shown or stored."""
    try:
        written = OmegaConf.to_container(config, resolve=False)
    except RecursionError:
        raise BadInput([_too_deep(())]) from None
    found = unsound(written)
    if found:
        raise BadInput(found)


def unsound(written: Any) -> list[Problem]:
    """Return the problems of plain values with unresolved references."""
    found = dict.fromkeys(problem for path, value in _walk(written, ()) for problem in _of_value(path, value))
    return list(found) or list(_too_much(written))


def _too_much(written: Any) -> Iterator[Problem]:
    """Yield a problem if the resolved values are too many, or a chain of references is too long."""
    try:
        size, steps = _Sizes(written).of((), written)
    except RecursionError:
        size, steps = 0, MOST_STEPS + 1
    if steps > MOST_STEPS:
        complaint = f"holds a reference that leads on to another one more than {MOST_STEPS} times"
        yield Problem("config", complaint, "refer to the last of them, or write its value")
    elif size > MOST:
        complaint = f"is more than {MOST} values, once its references are resolved"
        yield Problem("config", complaint, "write less, or refer to smaller parts")


def _walk(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield everything in `node` with its path, down to `DEEPEST`."""
    yield path, node
    if len(path) > DEEPEST:
        return
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield (*path, _part(key)), key
        yield from _walk(child, (*path, _part(key)))


def _part(key: Any) -> str:
    """Return a key as a part of a path. Python cannot write numbers of thousands of digits."""
    return "…" if isinstance(key, int) and key.bit_length() > MOST_BITS else str(key)


def _of_value(path: Path, value: Any) -> Iterator[Problem]:
    key = _key(path)
    if isinstance(value, Mapping | list) and len(path) > DEEPEST:
        yield _too_deep(path)
    elif isinstance(value, int) and value.bit_length() > MOST_BITS:
        yield Problem(key, f"is a whole number of {value.bit_length()} bits", f"give one of at most {MOST_BITS}")
    elif isinstance(value, str) and len(value) > LONGEST:
        yield Problem(key, f"is a text of {len(value)} characters", f"give one of at most {LONGEST}")
    elif isinstance(value, str) and not is_writable(value):
        yield Problem(key, f"is {value!r}, which holds half a character", "give a text that UTF-8 can write")


def is_writable(text: str) -> bool:
    """Return whether a file can hold `text`: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(path: Path) -> Problem:
    return Problem(_key(path), "is nested too deeply", f"give at most {DEEPEST} mappings or lists in each other")


def _key(path: Path) -> str:
    shown = [part if is_writable(part) else ascii(part) for part in path[:SHOWN_KEYS]]
    return ".".join(shown) or "config"


class _Sizes:
    """The number of values in each part of a config with its references resolved, and the longest chain of references.

    A long text counts as several values. A value that refers to itself counts once.
    """

    def __init__(self, written: Any) -> None:
        self._written = written
        self._known: dict[Path, tuple[int, int]] = {}

    def of(self, path: Path, node: Any) -> tuple[int, int]:
        """Return the size of `node` at `path`, and the longest chain of references in it."""
        if path not in self._known:
            self._known[path] = (1, 0)  # while its own references are followed
            found = [self.of(*child) for child in self._inside(path, node)]
            size = 1 + sum(size for size, _ in found) + (len(node) // PER_VALUE if isinstance(node, str) else 0)
            steps = max((steps for _, steps in found), default=0) + (isinstance(node, str) and bool(found))
            self._known[path] = (size, steps)
        return self._known[path]

    def _inside(self, path: Path, node: Any) -> Iterator[tuple[Path, Any]]:
        """Yield the children and references of `node`, each with its path."""
        if isinstance(node, Mapping | list):
            for key, child in node.items() if isinstance(node, Mapping) else enumerate(node):
                yield (*path, _part(key)), child
        elif isinstance(node, str) and "${" in node:
            for reference in REFERENCE.findall(node):
                target = target_of(reference, path)
                yield target, reduce(child_of, target, self._written)
