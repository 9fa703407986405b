"""Parses the section `select`: the race of the best configurations after the search."""

from __future__ import annotations

from typing import get_args

from studies.config.parsing.limits import MOST_SEEDS
from studies.config.parsing.section import ConfigSection
from studies.config.settings import SelectCost, SelectName, SelectRule, SelectSettings, StudySettings
from studies.errors import Problems

OPTIONS = ("k", "seeds", "estimate_seeds", "rule", "cost", "per_value")
NOTHING_SELECTED = ("is set but nothing is selected", "add select=race, or remove it")
MAX_VALUES = 64  # of a scientific parameter; more races are a mistake


def parse_select(section: ConfigSection) -> SelectSettings:
    """Return the settings of the selection. A config without the section selects nothing."""
    section.only(("name", *OPTIONS))
    name = section.word("name", get_args(SelectName), default="none")
    if name == "none":
        for option in section.values:
            if option in OPTIONS:
                section.complain(option, *NOTHING_SELECTED)
        return SelectSettings()
    _check_cost(section)
    per_value = section.flag("per_value")
    return SelectSettings(
        name=name,
        k=_whole(section, "k", low=1 if per_value else 2, default=8),  # one for each value races too
        seeds=_whole(section, "seeds", low=3, default=8),
        estimate_seeds=_whole(section, "estimate_seeds", low=2, default=8),
        rule=section.word("rule", get_args(SelectRule), default="best"),
        cost=section.word("cost", get_args(SelectCost), default="seconds"),
        per_value=per_value,
    )


def check_select(settings: StudySettings, problems: Problems) -> None:
    """Add a problem for a race that cannot run.

    It has more candidates than points, two objectives, no scientific values, or infinitely many.
    """
    if settings.select.name != "none" and settings.objective.second is not None:
        complaint = f"is {settings.select.name}, which looks for one winner, and there are two objectives"
        problems.add("select", complaint, "read the front and set select=none, or give objective.second=null")
    n_points = settings.n_trials // settings.replicates
    _check_k(settings.select, n_points, problems, is_designed=settings.is_designed)
    if not settings.select.per_value:
        return
    key = "select.per_value"
    scientific = [parameter for parameter in settings.space if parameter.role == "scientific"]
    if not scientific:
        remedy = "give one role: scientific, or set per_value to false"
        problems.add(key, "is true but no parameter of the search space is scientific", remedy)
    for parameter in scientific:
        n_values = len(parameter.levels or ()) if settings.is_designed else len(parameter.spread(MAX_VALUES + 1))
        if n_values > MAX_VALUES:
            remedy = "give it a step, make it a power_of_two or a categorical, or search a grid"
            problems.add(key, f"is true, and {parameter.name} has a continuum of values", remedy)


def _check_k(select: SelectSettings, n_points: int, problems: Problems, *, is_designed: bool) -> None:
    """Add a problem for more candidates than the study has points, if their number is known."""
    counted = ("select.k", "n_trials", "replicates", "search_space")
    if select.name == "none" or any(problem.key.startswith(counted) for problem in problems.found):
        return
    if select.k > n_points:
        there = f"the grid has {n_points} cells" if is_designed else f"the search has {n_points} trials"
        more = "more levels" if is_designed else "more n_trials"
        problems.add("select.k", f"is {select.k} but {there}", f"give no more than {n_points}, or {more}")


def _check_cost(section: ConfigSection) -> None:
    """Add a problem for a cost that the rule ignores."""
    usual = SelectSettings()
    if section.values.get("rule", usual.rule) == "best" and section.values.get("cost", usual.cost) != usual.cost:
        complaint = f"is {section.values['cost']} but {section.key('rule')} is best, which looks at no cost"
        section.complain("cost", complaint, "set select.rule=one_standard_error, or remove it")


def _whole(section: ConfigSection, name: str, *, low: int, default: int) -> int:
    return section.whole(name, low=low, high=MOST_SEEDS) if section.has(name) else default
