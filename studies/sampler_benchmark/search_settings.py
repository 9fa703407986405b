"""The settings of a search in the benchmark: a study in memory, with a sampler and a pruner by name.

Other options come from the config groups `sampler` and `pruner`. So the benchmark compares samplers as studies use
them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.composing.configs import compose, group_options
from studies.config.parameter import Parameter
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.config.space import SearchSpace
from studies.errors import BadInput, Problem, nearest
from studies.sampler_benchmark.problem import BenchmarkProblem, space_of, with_paths
from studies.search.checks import check_search

OVERRIDES = (
    *("study_name=search", "workers=1", "launcher=serial", "storage=memory", "analysis=none", "datamodule=none"),
    *("search_space=lr_batch_size", "budget.unit=epochs", "objective.metric=value"),
)


def search_settings(
    problem: BenchmarkProblem, *, sampler: Mapping[str, Any], pruner: Mapping[str, Any], n_trials: int
) -> StudySettings:
    """Return the settings of a search of at most `n_trials`. The space of a grid is coarsened to so many cells.

    Raises `BadInput` for an unknown sampler, pruner or option, and for a sampler that cannot search this space.
    """
    names = {"sampler": _name(sampler, "sampler"), "pruner": _name(pruner, "pruner")}
    config = _composed(names["sampler"], names["pruner"])
    is_grid = names["sampler"] == "grid"
    asked = {
        "sampler": dict(sampler),
        "pruner": dict(pruner),
        "n_trials": None if is_grid else n_trials,
        "objective": {"direction": problem.direction},
        "budget": {"amount": problem.n_rungs},
        "output_dir": tempfile.gettempdir(),  # nothing is written
    }
    merged = OmegaConf.merge(config, asked)
    assert isinstance(merged, DictConfig)
    space = problem.search_space if not is_grid else _with_levels(problem.search_space, n_trials)
    merged.model = {
        "_target_": "studies.sampler_benchmark.Search",
        **dict.fromkeys(space),
    }  # never built; has the parameters' paths
    merged.search_space = with_paths(space)
    return parse_settings(merged, checks=[check_search])


def coarsened(space: SearchSpace, n: int) -> dict[str, tuple[Any, ...]]:
    """Return levels for a full factorial of at most `n` cells.

    All choices come first, if there is room. Then each other parameter in turn gets one level more, evenly spread,
    as long as there is room.
    """
    levels = {p.name: p.spread(1) for p in space}
    for parameter in (p for p in space if p.type == "categorical"):
        finer = {**levels, parameter.name: parameter.spread(n)}
        levels = finer if _has_room(space, finer, n) else levels
    growing = [p for p in space if p.type != "categorical"]
    while growing:
        growing = [p for p in growing if _grow(space, p, levels, n)]
    return levels


def _grow(space: SearchSpace, parameter: Parameter, levels: dict[str, tuple[Any, ...]], n: int) -> bool:
    """Give `parameter` one level more, in place. Return whether that was possible."""
    n_now = len(levels[parameter.name])
    finer = parameter.spread(n_now + 1)
    if len(finer) <= n_now or not _has_room(space, {**levels, parameter.name: finer}, n):
        return False
    levels[parameter.name] = finer
    return True


def _has_room(space: SearchSpace, levels: Mapping[str, tuple[Any, ...]], n: int) -> bool:
    return len(SearchSpace(tuple(replace(p, levels=levels[p.name]) for p in space)).grid()) <= n


def _with_levels(search_space: Mapping[str, Mapping[str, Any]], n: int) -> dict[str, dict[str, Any]]:
    levels = coarsened(space_of(search_space), n)
    return {name: {**entry, "levels": list(levels[name])} for name, entry in search_space.items()}


def _name(given: Mapping[str, Any], group: str) -> str:
    """Return the name in `given`. Raises `BadInput` if the config group has no such option."""
    name, known = given.get("name"), _options(group)
    if name not in known:
        raise BadInput([Problem(f"{group}.name", f"is {name!r}", nearest(str(name), known))])
    return str(name)


@cache
def _options(group: str) -> tuple[str, ...]:
    return tuple(group_options(group))


@cache
def _composed(sampler: str, pruner: str) -> DictConfig:
    config = compose([*OVERRIDES, f"sampler={sampler}", f"pruner={pruner}"])
    OmegaConf.set_struct(config, False)
    return config
