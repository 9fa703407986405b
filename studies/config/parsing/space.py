"""Parses a search space from its YAML mapping and reports every mistake in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from omegaconf import DictConfig

from studies.config.parameter import Parameter, ParameterType, Role, Value
from studies.config.parsing.limits import shown
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.values import STAND_IN, parse_choices, parse_levels, parse_range
from studies.config.space import SearchSpace, path_exists, select
from studies.errors import Problems, nearest
from studies.text.quoting import is_key

KEYS = ("path", "paths", "type", "low", "high", "log", "step", "linear", "choices", "levels", "role", "when")
ADDED = ("callbacks", "loggers")  # groups with options that are added by a +


def parse_space(values: Any, *, config: DictConfig, problems: Problems) -> SearchSpace:
    """Return the search space of `values`, the config's `search_space`, for the composed `config`.

    Mistakes go to `problems`. The returned space then only serves to find further ones.
    """
    entries = ConfigSection(values, prefix="search_space", problems=problems)
    if not entries.values:
        problems.add("search_space", "is empty", "name a space (search_space=mlp) or give at least one parameter")
    sections = {name: entries.section(name) for name in entries.values if _is_mapping(name, entries)}
    read = {name: _parse_parameter(name, section) for name, section in sections.items()}
    read = {name: _with_named_conditions(parameter, read) for name, parameter in read.items()}
    ordered = [parameter for parameter in _in_order(read, problems) if parameter.role != "fixed"]
    if read and all(parameter.role == "fixed" for parameter in read.values()):
        problems.add("search_space", "holds only fixed parameters", "give at least one another role")
    space = SearchSpace(tuple(ordered))
    for parameter in ordered:
        _check_conditions(parameter, read, problems)
        _check_paths(parameter, space, config, problems)
    _check_overlaps(space, problems)
    return space


def _is_mapping(name: Any, entries: ConfigSection) -> bool:
    """Return whether the parameter `name` can be parsed. Add a problem if it cannot."""
    value, key = entries.values[name], entries.key(str(name))
    entries.check_name(name)
    if not isinstance(name, str):
        entries.problems.add(key, f"is named {name!r}, which is no text", f"write its name in quotes: '{name}'")
        return False
    if value is None:
        removed = f"remove it with ~{key}" if is_key(key) else "remove it"
        entries.complain(name, "is null", removed)
    elif not isinstance(value, Mapping):
        entries.complain(name, f"is {shown(value)}", "give a mapping of keys to values")
    return isinstance(value, Mapping)


def _parse_parameter(name: str, entry: ConfigSection) -> Parameter:
    n_before = len(entry.problems.found)
    entry.only(KEYS)
    kind: ParameterType = entry.word("type", get_args(ParameterType))
    values = {}
    if entry.values.get("type") == kind:
        values = parse_choices(entry) if kind == "categorical" else parse_range(entry, kind)
    if len(entry.problems.found) > n_before:
        kind, values = "categorical", {"choices": STAND_IN}
    parameter = Parameter(
        name=name,
        paths=_parse_paths(entry),
        type=kind,
        role=entry.word("role", get_args(Role), default="nuisance"),
        when={str(key): tuple(v) if isinstance(v, list) else (v,) for key, v in entry.section("when").values.items()},
        levels_are_given=entry.has("levels"),
        **values,
    )
    is_sound = len(entry.problems.found) == n_before
    return replace(parameter, levels=parse_levels(parameter, entry) if is_sound else (None,))


def _parse_paths(entry: ConfigSection) -> tuple[str, ...]:
    if entry.has("path") == entry.has("paths"):
        entry.complain("path", "and paths are both given or both missing", "give one of them")
    given = entry.values.get("paths") or [entry.values.get("path")]
    paths = tuple(given) if isinstance(given, list) else (given,)
    if not all(isinstance(path, str) and path for path in paths):
        if entry.has("path") or entry.has("paths"):
            entry.complain("path", f"is {shown(given)}", "give the dotted config key that it sets")
        return ()
    return tuple(str(path) for path in paths)


def _with_named_conditions(parameter: Parameter, read: Mapping[str, Parameter]) -> Parameter:
    """Return `parameter` with its conditions in the values of their own parameters."""
    when = {
        parent: tuple(read[parent].own(value) for value in allowed) if parent in read else allowed
        for parent, allowed in parameter.when.items()
    }
    return replace(parameter, when=when)


def _in_order(read: Mapping[str, Parameter], problems: Problems) -> list[Parameter]:
    """Parents first. A circle of conditions is noted, and its members are left out."""
    ordered: list[Parameter] = []
    placed: set[str] = set()
    remaining = dict(read)
    while remaining:
        ready = [
            name for name, p in remaining.items() if all(parent in placed or parent not in read for parent in p.when)
        ]
        if not ready:
            circle = " → ".join(sorted(remaining))
            problems.add("search_space", f"has conditions (when) that run in a circle: {circle}", "remove one of them")
            break
        for name in ready:
            ordered.append(remaining.pop(name))
            placed.add(name)
    return ordered


def _check_conditions(parameter: Parameter, read: Mapping[str, Parameter], problems: Problems) -> None:
    for parent, allowed in parameter.when.items():
        key = f"search_space.{parameter.name}.when.{parent}"
        if parent not in read:
            problems.add(key, "names no parameter", nearest(parent, read))
            continue
        if read[parent].role == "fixed":
            problems.add(key, "names a fixed parameter, which is not searched", "remove one of them")
            continue
        if read[parent].choices is STAND_IN:
            continue
        impossible = [value for value in allowed if not read[parent].contains(value)]
        if impossible:
            known = read[parent].choices or (f"{read[parent].low:g}…{read[parent].high:g}",)
            problems.add(
                key, f"holds {impossible}, which {parent} never is", nearest(str(impossible[0]), map(str, known))
            )


def _check_paths(parameter: Parameter, space: SearchSpace, config: DictConfig, problems: Problems) -> None:
    for path in parameter.paths:
        for point in _settings_of(_choosers(path, parameter, space), parameter):
            try:
                written = space.apply(config, point) if point else config
            except KeyError:
                continue  # the chooser's own path is wrong and reported by itself
            if not path_exists(written, path):
                under = f" when {', '.join(f'{name} is {value}' for name, value in point.items())}" if point else ""
                known = _option_with(written, path) or _keys_beside(written, path)
                problems.add(
                    f"search_space.{parameter.name}.path", f"{path} does not exist in the config{under}", known
                )


def _option_with(config: DictConfig, path: str) -> str | None:
    """Return the remedy for a path into a callback or logger that is not in the config."""
    group, _, rest = path.partition(".")
    name = rest.partition(".")[0]
    if group not in ADDED or path_exists(config, f"{group}.{name}"):
        return None
    return f"add that option first, as in +{group}={name}"


def _choosers(path: str, parameter: Parameter, space: SearchSpace) -> list[Parameter]:
    """Return the parameters that replace a sub-config above `path`."""
    above = [other for other in space if other.replaces_subconfig and other.name != parameter.name]
    return [other for other in above if any(path.startswith(f"{prefix}.") for prefix in other.paths)]


def _settings_of(choosers: list[Parameter], parameter: Parameter) -> list[dict[str, Value]]:
    """Return every combination of sub-configs that `parameter` can be active under."""
    points: list[dict[str, Value]] = [{}]
    for chooser in choosers:
        allowed = parameter.when.get(chooser.name, tuple(chooser.choices))
        points = [{**point, chooser.name: v} for point in points for v in allowed if chooser.contains(v)]
    return points


def _keys_beside(config: DictConfig, path: str) -> str:
    """Return the remedy for a missing path: the nearest key at its deepest existing level."""
    parent, _, key = path.rpartition(".")
    while parent and not isinstance(select(config, parent), DictConfig):
        parent, _, key = parent.rpartition(".")
    node = select(config, parent) if parent else config
    prefix = f"{parent}." if parent else ""
    return nearest(f"{prefix}{key}", [f"{prefix}{name!s}" for name in node])


def _check_overlaps(space: SearchSpace, problems: Problems) -> None:
    """Add a problem for two parameters that set one path at the same time: the second would undo the first."""
    for i, first in enumerate(space.parameters):
        for second in space.parameters[i + 1 :]:
            shared = set(first.paths) & set(second.paths)
            if shared and not _exclude_each_other(first, second):
                key = f"search_space.{second.name}.path"
                problems.add(key, f"{min(shared)} is also set by {first.name}", "give each path to one parameter")


def _exclude_each_other(first: Parameter, second: Parameter) -> bool:
    common = set(first.when) & set(second.when)
    return any(not set(first.when[parent]) & set(second.when[parent]) for parent in common)
