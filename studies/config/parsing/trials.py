"""Parses the number of trials, and the points to try first."""

from __future__ import annotations

from typing import Any

from studies.config.parsing.limits import MOST_CELLS, MOST_TRIALS, shown
from studies.config.parsing.section import ConfigSection
from studies.config.settings import Named
from studies.config.space import Point, SearchSpace, is_active
from studies.errors import Problems


def parse_n_trials(top: ConfigSection, space: SearchSpace, sampler: Named, replicates: int) -> int:
    """Return the number of trials of the whole study. A grid counts its own."""
    given = top.optional_whole("n_trials", low=1, high=MOST_TRIALS)
    if sampler.name != "grid":
        if given is None and "n_trials" in top.values:
            top.problems.add("n_trials", "is null", "give the study's total number of trials")
        return given or 1
    without = [parameter.name for parameter in space if not parameter.levels]
    for name in without:
        remedy = "give a number of levels or a list of values"
        top.problems.add(f"search_space.{name}.levels", "is missing and sampler is grid", remedy)
    if without:
        return given or 1
    n_cells = space.count_cells(limit=MOST_CELLS)
    if n_cells is None or n_cells * replicates > MOST_TRIALS:
        _refuse_size(top, n_cells, replicates)
        return 1
    size = max(1, n_cells * replicates)
    unsound = any(problem.key.startswith(("search_space", "n_trials", "replicates")) for problem in top.problems.found)
    if given not in (None, size) and not unsound:
        remedy = f"leave n_trials=null (or give {size}), or change the levels"
        top.problems.add("n_trials", f"is {given} but the grid has {size} cells × replicates", remedy)
    return size


def _refuse_size(top: ConfigSection, n_cells: int | None, replicates: int) -> None:
    """Add a problem for a grid with too many cells or too many trials."""
    if n_cells is None:
        complaint = f"makes a grid of more than {MOST_CELLS} cells"
        top.problems.add("search_space", complaint, "give fewer levels, or another sampler than grid")
    else:
        complaint = f"is {replicates}, which makes {n_cells * replicates} trials of {n_cells} cells"
        top.problems.add(
            "replicates", complaint, f"give fewer, or fewer levels: a study has at most {MOST_TRIALS} trials"
        )


def parse_enqueue(given: Any, space: SearchSpace, problems: Problems) -> tuple[Point, ...]:
    """Return the points to try first."""
    points: list[Point] = []
    if given is not None and not isinstance(given, list):
        problems.add(
            "enqueue", f"is {shown(given)}", "give a list of points, each a mapping of parameter names to values"
        )
        return ()
    for i, entry in enumerate(given or []):
        point = ConfigSection(entry, prefix=f"enqueue.{i}", problems=problems)
        point.only(space.names)
        kept: Point = {}
        for parameter in space:
            if parameter.name not in point.values:
                continue
            value = parameter.own(point.values[parameter.name])
            key = point.key(parameter.name)
            if not parameter.contains(value):
                problems.add(
                    key, f"is {shown(value)}, outside the search space", "give a value that the parameter can take"
                )
            elif all(parent in kept for parent in parameter.when) and not is_active(parameter, kept):
                problems.add(key, "is not active under the point's other values", "remove it, or change its condition")
            kept[parameter.name] = value
        points.append(kept)
    return tuple(points)
