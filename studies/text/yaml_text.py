"""Parses YAML from unknown authors. A text that is too large, too deep or too often repeated is refused.

Ten lines with aliases (`*name`) can stand for a billion values, and PyYAML recurses for each level.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

DEEPEST = 30  # nested mappings and lists; OmegaConf and PyYAML make ten nested calls for each
MOST = 100_000  # values, with aliases and references resolved
LARGEST_FILE = 1_000_000  # bytes: PyYAML reads some 100 kB a second
MERGE = "tag:yaml.org,2002:merge"


class Unreadable(yaml.YAMLError):
    """The reason why a text was refused."""


def read_yaml_text(path: Path) -> str:
    """Return the text of a YAML file. Raises OSError, UnicodeDecodeError, and `Unreadable` for a large file."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise Unreadable(f"is larger than the {LARGEST_FILE} bytes that are read")
    return content.decode("utf-8").removeprefix("\ufeff")


def tree_of(text: str, *, deepest: int = DEEPEST) -> Node | None:
    """Return the nodes of `text`. Raises `yaml.YAMLError`, also for a text that would grow or nest too much."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise Unreadable(f"nests more than {deepest} mappings or lists") from None
    if tree is not None:
        _measure(tree, {}, deepest)
    return tree


def parsed(text: str, *, deepest: int = DEEPEST) -> Any:
    """Return the plain values of `text`. Raises `yaml.YAMLError`, also for a duplicate key."""
    tree = tree_of(text, deepest=deepest)
    if tree is None:
        return None
    _refuse_twins(tree)
    try:
        return yaml.safe_load(text)
    except (ValueError, TypeError, OverflowError) as error:  # a date of month 13, a number of thousands of digits
        raise Unreadable(f"holds a value that cannot be read ({error})") from None


def _measure(node: Node, known: dict[int, tuple[int, int]], deepest: int) -> tuple[int, int]:
    """Return the number of values in `node` and their depth. Raises `Unreadable` if either is too large."""
    if id(node) not in known:
        known[id(node)] = (MOST + 1, 1)  # until it is known, as a node may hold itself
        inside = [_measure(child, known, deepest) for child in _inside(node)]
        size, depth = 1 + sum(size for size, _ in inside), 1 + max((depth for _, depth in inside), default=0)
        known[id(node)] = (size, depth)
    size, depth = known[id(node)]
    if size > MOST:
        raise Unreadable(f"stands for more than {MOST} values, once its aliases are read")
    if depth > deepest:
        raise Unreadable(f"nests more than {deepest} mappings or lists")
    return size, depth


def _inside(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _refuse_twins(node: Node) -> None:
    """Raise `Unreadable` for a duplicate key. YAML would take its last value silently."""
    seen: set[str] = set()
    for key, _ in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and key.value in seen and key.tag != MERGE:
            raise Unreadable(f"has the key {key.value} twice (line {key.start_mark.line + 1})")
        seen.add(key.value if isinstance(key, ScalarNode) else "")
    for child in _inside(node):
        _refuse_twins(child)
