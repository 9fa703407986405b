"""Parses the section `analysis`."""

from __future__ import annotations

from typing import get_args

from studies.config.parsing.section import ConfigSection
from studies.config.settings import AnalysisName, AnalysisSettings, SamplerName, ValuePolicy
from studies.config.space import SearchSpace
from studies.errors import Problems, nearest


def parse_analysis(section: ConfigSection, space: SearchSpace | None) -> AnalysisSettings:
    """Return the analysis settings. Parameter names are checked against `space`, or later against the trials."""
    section.only(("name", "params", "value_policy", "law", "source", "margin"))
    return AnalysisSettings(
        name=section.word("name", get_args(AnalysisName), default="full"),
        params=_parse_params(section, space),
        value_policy=section.word("value_policy", get_args(ValuePolicy), default="auto"),
        law=_parse_law(section, space),
        source=section.word("source", get_args(SamplerName)) if section.has("source") else None,
        margin=section.optional_number("margin", above=0),
    )


def _parse_params(section: ConfigSection, space: SearchSpace | None) -> tuple[str, ...] | None:
    given = section.values.get("params")
    if given is None:
        return None
    if not isinstance(given, list) or not given or len({str(name) for name in given}) < len(given):
        remedy = "give a list of parameter names, each once, or null for all"
        section.complain("params", f"is {given!r}", remedy)
        return None
    for i, name in enumerate(given):
        _check_searched(str(name), section.key(f"params.{i}"), space, section.problems)
    return tuple(str(name) for name in given)


def _parse_law(section: ConfigSection, space: SearchSpace | None) -> tuple[tuple[str, str], ...] | None:
    given, key, problems = section.values.get("law", "auto"), section.key("law"), section.problems
    if given == "auto":
        return None
    if not isinstance(given, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in given):
        remedy = "give auto, [] for none, or pairs [tuned, followed] as in [[lr, batch_size]]"
        problems.add(key, f"is {given!r}", remedy)
        return None
    for i, pair in enumerate(given):
        if pair[0] == pair[1] or pair in given[:i]:
            problems.add(f"{key}.{i}", f"is {pair!r}", "name two parameters, each pair once")
            continue
        for j, name in enumerate(pair):
            _check_searched(str(name), f"{key}.{i}.{j}", space, problems, numeric=True)
    return tuple((str(tuned), str(followed)) for tuned, followed in given)


def _check_searched(
    name: str, key: str, space: SearchSpace | None, problems: Problems, *, numeric: bool = False
) -> None:
    """Add a problem for a name that is no parameter of the space, or no numeric one if that is needed."""
    if space is None:
        return
    is_space_sound = not any(problem.key.startswith("search_space") for problem in problems.found)
    known = [parameter.name for parameter in space if parameter.type != "categorical" or not numeric]
    if name in space.names and name not in known:
        if is_space_sound:  # else a categorical may stand in for a wrong parameter
            problems.add(key, f"is {name}, a categorical", nearest("", known))
    elif name not in known:
        problems.add(key, f"is {name!r}, which is not searched", nearest(str(name), known))
