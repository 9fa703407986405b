"""Keeps names in a YAML file as they are written: quotes them before YAML makes numbers, booleans or null of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from studies.errors import Problem
from studies.text.yaml_text import tree_of

Path = tuple[str, ...]
ANY = "*"
NAMES: tuple[Path, ...] = (  # keys with names or other texts as values
    ("study_name",),
    ("output_dir",),
    ("import_from",),
    ("objective", "metric"),
    ("objective", "second", "metric"),
    ("search_space", ANY, "path"),
    ("search_space", ANY, "paths", ANY),
    ("analysis", "params", ANY),
    ("analysis", "law", ANY, ANY),
    ("hypothesis", "of"),
    ("links", ANY),
)
MAY_BE_NULL = ("import_from", "output_dir")  # null is not a name here
NAMED: tuple[Path, ...] = (  # mappings with names as keys
    (),
    ("search_space",),
    ("search_space", ANY, "choices"),
    ("search_space", ANY, "when"),
    ("enqueue", ANY),
    ("hypothesis", "parts"),
    ("vars",),
    ("links",),
    ("callbacks",),
    ("loggers",),
)
VALUES: tuple[Path, ...] = (  # lists of numbers, booleans or texts
    ("search_space", ANY, "choices"),
    ("search_space", ANY, "levels"),
    ("search_space", ANY, "when", ANY),
    ("enqueue", ANY),
)
BOOLEAN = re.compile(r"yes|no|on|off", re.IGNORECASE)
NUMBER = re.compile(r"[-+]?[\d._]*\d[\d._]*([eE][-+]?\d+)?")
TIME = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
OCTAL = re.compile(r"[-+]?0[0-7_]+")
UNDERSCORED = re.compile(r"[-+]?[1-9][0-9]*(_[0-9]+)+")


def with_quoted_names(text: str, *, root: str = "") -> str:
    """Return `text` with quotes around its plain names. Its content is merged at the dotted key `root`.

    Raises `yaml.YAMLError`.
    """
    places = {(node.start_mark.index, node.end_mark.index): node for node in _names(tree_of(text), _split(root))}
    for (begin, end), node in sorted(places.items(), reverse=True):
        quoted = node.value.replace("'", "''")
        text = f"{text[:begin]}'{quoted}'{text[end:]}"
    return text


def doubtful_values(text: str, *, root: str = "") -> list[Problem]:
    """Return a problem with its line for each value of a parameter in `text` that may be meant as a text.

    YAML does not read it as its text. Raises `yaml.YAMLError`.
    """
    found = {node.start_mark.index: problem for node, problem in _doubtful(tree_of(text), _split(root))}
    return [found[index] for index in sorted(found)]


def _split(root: str) -> Path:
    return tuple(root.split(".")) if root else ()


def _names(node: Node | None, path: Path) -> Iterator[ScalarNode]:
    """Yield the plain scalars below `node` that are names."""
    for inner, place in _walk(node, path):
        if isinstance(inner, ScalarNode) and _is_one_of(place, NAMES) and _is_plain(inner):
            if inner.value.lower() not in ("null", "") or place[0] not in MAY_BE_NULL:
                yield inner
        elif isinstance(inner, MappingNode) and _is_one_of(place, NAMED):
            yield from (key for key, _ in inner.value if isinstance(key, ScalarNode) and _is_plain(key))


def _doubtful(node: Node | None, path: Path) -> Iterator[tuple[ScalarNode, Problem]]:
    for inner, place in _walk(node, path):
        if not _is_one_of(place, VALUES):
            continue
        members = inner.value if isinstance(inner, SequenceNode) else [inner]
        if isinstance(inner, MappingNode):
            members = [value for _, value in inner.value] if place[0] == "enqueue" else []
        plain = [member for member in members if isinstance(member, ScalarNode)]
        is_mixed = any(not NUMBER.fullmatch(member.value) for member in plain)
        for member in plain:
            read = _read_as(member.value, is_mixed=is_mixed) if _is_plain(member) else None
            if read is not None:
                yield member, _told(place, member, read)


def _read_as(text: str, *, is_mixed: bool) -> str | None:
    """Return the value that YAML reads if the text may be meant instead, else None."""
    if BOOLEAN.fullmatch(text):
        return "true" if text.lower() in ("yes", "on") else "false"
    if TIME.fullmatch(text) or OCTAL.fullmatch(text) or (is_mixed and UNDERSCORED.fullmatch(text)):
        return f"{yaml.safe_load(text):g}"
    return None


def _told(place: Path, member: ScalarNode, read: str) -> Problem:
    key, text = ".".join(place), member.value
    complaint = f"{key} holds {text}, which YAML reads as {read}"
    line = f"line {member.start_mark.line + 1}:"
    return Problem(line, complaint, f"write '{text}' in quotes for the text, or {read}")


def _walk(node: Node | None, path: Path) -> Iterator[tuple[Node, Path]]:
    """Yield `node` and everything in it, each with its path. Any number stands for the members of a list.

    The changes of a hypothesis's part have the paths that they change.
    """
    if node is None:
        return
    path = path[3:] if path[:2] == ("hypothesis", "parts") and len(path) > 2 else path
    yield node, path
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                yield from _walk(value, (*path, key.value))
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _walk(value, (*path, ANY))


def _is_one_of(path: Path, patterns: tuple[Path, ...]) -> bool:
    return any(
        len(path) == len(pattern) and all(p in (ANY, key) for p, key in zip(pattern, path, strict=True))
        for pattern in patterns
    )


def _is_plain(node: ScalarNode) -> bool:
    """Return whether a scalar has no quotes and is neither empty nor a merge."""
    return node.style is None and node.tag != "tag:yaml.org,2002:merge" and node.value not in ("", "~")
