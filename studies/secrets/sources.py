"""Finds the sources of a config's text: environment variables and other keys, directly or through others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]  # of the keys down to a node

INNER = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"  # the text in braces, with nested calls to a depth of two
INTERPOLATION = rf"\$\{{{INNER}\}}"
CALL = re.compile(rf"\$\{{\s*oc\.env:{INNER}\}}")
VARIABLE = re.compile(r"\$\{\s*oc\.env:\s*['\"]?([^{},'\"$\s]+)")
DEFAULT = re.compile(r"\$\{\s*oc\.env:[^{},]*,([^{}$]*)")
REFERENCE = re.compile(r"\$\{\s*([^${}:]+?)\s*\}")
SELECTED = re.compile(r"\$\{\s*oc\.(?:select|deprecated):\s*([^${},]+)")
PLAIN = re.compile(r"(?:true|false|null|none|[-+]?[\d.][\d._e+-]*)", re.IGNORECASE)
HOPS = 10  # longest chain of references
LONGEST_INDEX = 10  # digits; Python refuses to read thousands of them


def variables(text: str) -> list[str]:
    """Return the names of the environment variables in a text, with those in default values."""
    return VARIABLE.findall(text)


def names_variables_only(text: str) -> bool:
    """Return whether a text reads environment variables only, with empty, plain or no defaults."""
    defaults = (default.strip().strip("'\"") for default in DEFAULT.findall(text))
    return 0 < text.count("${") == len(variables(text)) and all(not one or PLAIN.fullmatch(one) for one in defaults)


def is_reference(text: str) -> bool:
    """Return whether a text is nothing but a reference to another key or to environment variables."""
    if REFERENCE.fullmatch(text):
        return True
    return CALL.fullmatch(text) is not None and names_variables_only(text)


def names_behind(written: str, path: Path, root: Any, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """Yield the names of all variables and keys behind the text at `path`, through any references."""
    yield from variables(written)
    for name in (*REFERENCE.findall(written), *SELECTED.findall(written)):
        node, target = _at(root, target_of(name, path))
        if isinstance(node, str) and target not in seen:
            yield from target
            yield from names_behind(node, target, root, seen | {target})


def followed(written: Any, path: Path, root: Any) -> tuple[Any, Path]:
    """Follow a reference of a config as it is written. Return its target and the path of that."""
    for _ in range(HOPS):
        found = REFERENCE.fullmatch(written) if isinstance(written, str) else None
        if found is None:
            break
        written, path = _at(root, target_of(found[1], path))
    return written, path


def target_of(name: str, path: Path) -> Path:
    """Return the path that a reference at `path` names. `.x` is a sibling of `path`, `..x` of its parent."""
    plain = name.strip()
    dots = len(plain) - len(plain.lstrip("."))
    parts = plain.replace("[", ".").replace("]", "").split(".")
    return (*(path[:-dots] if dots else ()), *filter(None, parts))


def _at(root: Any, path: Path, hops: int = HOPS) -> tuple[Any, Path]:
    """Return the node at `path`, or None, and its real path. References above it are followed."""
    here: Path = ()
    node = root
    for name in path:
        found = REFERENCE.fullmatch(node) if isinstance(node, str) and hops else None
        if found is not None:
            node, here = _at(root, target_of(found[1], here), hops - 1)
        node, here = child_of(node, name), (*here, name)
    return node, here


def child_of(node: Any, name: str) -> Any:
    """Return what a mapping or list holds under this part of a path, or None."""
    index = int(name) if name.isdecimal() and len(name) < LONGEST_INDEX else None
    if isinstance(node, Mapping):
        return node.get(name, None if index is None else node.get(index))
    return node[index] if isinstance(node, list) and index is not None and index < len(node) else None
