"""What no config may hold, whatever its keys mean: values that break whoever reads, shows or stores them.

Context: references (`${key}`, and YAML's aliases) make a value of a few lines as large as the memory. A nested value
ends Python's stack. A text of half a character can be written nowhere. Choice: each is refused before anything reads
the config. Cost: one walk through the config, some milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.errors import BadInput, Problem
from studies.text.yaml_text import DEEPEST, MOST

LONGEST = 1_000_000  # characters of a text
MOST_BITS = 1023  # of a whole number: a float, a storage and a message take no longer one
SHOWN_KEYS = 4  # of a path, in messages
PER_VALUE = 1000  # characters of a text that count as one value
MOST_STEPS = 30  # from a reference to the next: OmegaConf calls itself 15 times for each
REFERENCE = re.compile(r"\$\{\s*(?:oc\.(?:select|dict\.(?:keys|values))\s*:\s*)?['\"]?([^${}:,'\"\s]+)['\"]?\s*[,}]")
PART = re.compile(r"[^.\[\]]+")
Path = tuple[str, ...]


def refuse_unsound(config: DictConfig) -> None:
    """Raise `BadInput` with every value of `config` that nobody could read, show or store."""
    try:
        written = OmegaConf.to_container(config, resolve=False)
    except RecursionError:
        raise BadInput([_too_deep(())]) from None
    found = unsound(written)
    if found:
        raise BadInput(found)


def unsound(written: Any) -> list[Problem]:
    """Return what is wrong with plain values, in which references are not resolved."""
    looked_at = (_problem_of(path, value) for path, value in _walk(written, ()))
    found = list(dict.fromkeys(problem for problem in looked_at if problem is not None))
    return found or [problem for problem in [_too_much(written)] if problem is not None]


def _too_much(written: Any) -> Problem | None:
    """Return that values are too many, or lead on to one another too often, once references are resolved."""
    try:
        size, steps = _Sizes(written).of((), written)
    except RecursionError:
        size, steps = 0, MOST_STEPS + 1
    if steps > MOST_STEPS:
        complaint = f"holds a reference that leads on to another one more than {MOST_STEPS} times"
        return Problem("config", complaint, "refer to the last of them, or write its value")
    if size > MOST:
        complaint = f"is more than {MOST} values, once its references are resolved"
        return Problem("config", complaint, "write less, or refer to smaller parts")
    return None


def _walk(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield everything in `node` with its path; nothing below what is too deep."""
    yield path, node
    if len(path) > DEEPEST:
        return
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield (*path, _part(key)), key
        yield from _walk(child, (*path, _part(key)))


def _part(key: Any) -> str:
    """Return a key as a part of a path. Python writes no number of thousands of digits."""
    return "…" if isinstance(key, int) and key.bit_length() > MOST_BITS else str(key)


def _problem_of(path: Path, value: Any) -> Problem | None:
    key = _key(path)
    if isinstance(value, Mapping | list) and len(path) > DEEPEST:
        return _too_deep(path)
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return Problem(key, f"is a whole number of {value.bit_length()} bits", f"give one of at most {MOST_BITS}")
    if isinstance(value, str) and len(value) > LONGEST:
        return Problem(key, f"is a text of {len(value)} characters", f"give one of at most {LONGEST}")
    if isinstance(value, str) and not is_writable(value):
        return Problem(key, f"is {value!r}, which holds half a character", "give a text that UTF-8 can write")
    return None


def is_writable(text: str) -> bool:
    """Whether a file can hold `text`: no half of a pair that UTF-16 makes of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(path: Path) -> Problem:
    remedy = f"give at most {DEEPEST} mappings or lists in each other"
    return Problem(_key(path), "is nested too deeply", remedy)


def _key(path: Path) -> str:
    shown = [part if is_writable(part) else ascii(part) for part in path[:SHOWN_KEYS]]
    return ".".join(shown) or "config"


class _Sizes:
    """How many values each part of a config holds with its references resolved, and how many lead on to one another.

    A long text counts as several values. What refers to itself counts once.
    """

    def __init__(self, written: Any) -> None:
        self._written = written
        self._known: dict[Path, tuple[int, int]] = {}

    def of(self, path: Path, node: Any) -> tuple[int, int]:
        """Return the size of `node`, which lies at `path`, and how many references lead from one to the next in it."""
        if path not in self._known:
            self._known[path] = (1, 0)  # while its own references are followed
            found = [self.of(*child) for child in self._inside(path, node)]
            size = 1 + sum(size for size, _ in found) + (len(node) // PER_VALUE if isinstance(node, str) else 0)
            steps = max((steps for _, steps in found), default=0) + (isinstance(node, str) and bool(found))
            self._known[path] = (size, steps)
        return self._known[path]

    def _inside(self, path: Path, node: Any) -> Iterator[tuple[Path, Any]]:
        """Yield what `node` holds or refers to, each with its path."""
        if isinstance(node, Mapping | list):
            for key, child in node.items() if isinstance(node, Mapping) else enumerate(node):
                yield (*path, _part(key)), child
        elif isinstance(node, str) and "${" in node:
            for reference in REFERENCE.findall(node):
                target = _target(reference, path)
                yield target, _at(self._written, target)


def _target(reference: str, path: Path) -> Path:
    """Return the path that a reference at `path` names; each dot at its begin but the first leads one level up."""
    parts = tuple(PART.findall(reference))
    n_dots = len(reference) - len(reference.lstrip("."))
    return (*path[: max(0, len(path) - n_dots)], *parts) if n_dots else parts


def _at(node: Any, path: Path) -> Any:
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list) and part.isdecimal() and len(part) < 10 and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node
