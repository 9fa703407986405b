"""Checks of a search before it runs: its sampler, its pruner, and whether the pruner may stop its trials."""

from __future__ import annotations

from studies.config.settings import StudySettings
from studies.errors import Problems
from studies.search.pruners import check_pruner
from studies.search.samplers import check_sampler


def check_search(settings: StudySettings, problems: Problems) -> None:
    """Add problems for wrong options, and for a pruner that would select the trainings of a table or a hypothesis."""
    sampler, pruner, objective = settings.sampler, settings.pruner, settings.objective
    check_sampler(sampler, objective, settings.space, problems)
    check_pruner(pruner, objective, problems, rungs=settings.budget.rungs)
    if not settings.is_designed or pruner.name == "none":
        return
    scientific = [parameter.name for parameter in settings.space if parameter.role == "scientific"]
    asking = [f"search_space.{name}.role=scientific" for name in scientific]
    if settings.hypothesis is not None and settings.hypothesis.rule != "none":
        asking.insert(0, f"hypothesis.rule={settings.hypothesis.rule}")
    if asking:
        complaint = f"is {pruner.name}, and {asking[0]} compares whole trainings, which pruning cuts short"
        problems.add("pruner", complaint, "set pruner=none")
