"""The grid of a question: some parameters of a search vary over their levels, all others are pinned.

A pinned parameter stays in the space with a single level. So conditions hold as in the search, the study's description
in the storage names every pinned value, and one rule writes points into the config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from omegaconf import DictConfig

from studies.config.defaults import defaults_of
from studies.config.parameter import Parameter, Value
from studies.config.space import Point, SearchSpace, is_active
from studies.errors import BadInput, Problem, Problems, nearest
from studies.text.quoting import hydra_quoted

KEY = "question"
MOST_LEVELS = 5  # of a parameter whose levels the config does not give


def question_argument(names: Sequence[str]) -> str:
    """Return the argument of the command line that asks about these parameters."""
    return f"{KEY}=[{','.join(map(hydra_quoted, names))}]"


def parse_names(given: object) -> tuple[str, ...]:
    """Return the parameters of a question. Raises `BadInput`."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise BadInput([Problem(KEY, f"is {given!r}", f"name parameters of the search, as in {KEY}=[lr,batch_size]")])
    if len(set(names)) < len(names):
        raise BadInput([Problem(KEY, f"is {given!r}", "name each parameter once")])
    return tuple(names)


def check_names(names: Sequence[str], space: SearchSpace, listed: Mapping[str, str]) -> None:
    """Raise `BadInput` unless a grid over these parameters of `space` is possible.

    `listed` are all parameters of the config with their roles. Not all of them may be searched.
    """
    problems = Problems()
    for name in names:
        if name in space.names:
            if len(grid_levels(space[name])) < 2:
                problems.add(f"search_space.{name}.levels", "holds one level", "give two or more, or none")
        elif listed.get(name) == "fixed":
            problems.add(KEY, f"names {name}, whose role is fixed", f"set search_space.{name}.role=nuisance")
        elif name in listed:
            problems.add(KEY, f"names {name}, a nuisance parameter, and mode is fixed", "set mode=tuned")
        else:
            problems.add(KEY, f"names {name}, which is no parameter of the search", nearest(name, space.names))
    problems.raise_if_any()


def grid_levels(parameter: Parameter) -> tuple[Value, ...]:
    """Return the levels that the config gives, else all choices of a categorical, or up to five spread values."""
    given = parameter.levels_are_given or parameter.type == "categorical"
    return parameter.levels or () if given else parameter.spread(MOST_LEVELS)


def gridded(space: SearchSpace, names: Sequence[str], pins: Mapping[str, Value]) -> SearchSpace:
    """Return the space of a grid over `names`. The `pins` are single levels.

    A parameter with neither is left out, and so is one that is active in no cell. Raises `BadInput` if a parameter in
    question is inactive in some cells.
    """
    kept = [parameter for parameter in space if parameter.name in {*names, *pins}]
    levels = {p.name: grid_levels(p) if p.name in names else (pins[p.name],) for p in kept}
    whole = SearchSpace(tuple(replace(p, levels=levels[p.name], role="nuisance") for p in kept))
    cells = whole.grid()
    found = SearchSpace(tuple(p for p in whole if any(p.name in cell for cell in cells)))
    inactive = [space[name] for name in names if any(name not in cell for cell in cells)]
    if inactive:
        raise BadInput([_of_inactive(parameter, names) for parameter in inactive])
    return found


def _of_inactive(parameter: Parameter, names: Sequence[str]) -> Problem:
    conditions = " and ".join(f"{name} is {', '.join(map(str, v))}" for name, v in parameter.when.items())
    complaint = f"names {parameter.name}, which is active only if {conditions}"
    switches = [name for name in parameter.when if name in names]
    if switches:
        return Problem(KEY, complaint, f"leave {' and '.join(switches)} out: a grid needs the others in all its cells")
    remedy = "ask about parameters that are active together, or search until a trial has all of them"
    return Problem(KEY, complaint, remedy)


def config_point(space: SearchSpace, config: DictConfig) -> Point:
    """Return the values that `config` itself has for the parameters of `space`, as far as these can take them."""
    own = defaults_of(space, config)
    point: Point = {}
    for parameter in space:
        name = parameter.name
        if name in own and is_active(parameter, point) and parameter.contains(own[name]):
            point[name] = own[name]
    return point
