"""The check that a study can decide its hypothesis."""

from __future__ import annotations

from studies.analysis.levels import MIN_BLOCKS, MIN_SEEDS
from studies.config.settings import StudySettings
from studies.errors import Problems


def check_hypothesis(settings: StudySettings, problems: Problems) -> None:
    """Add a problem for a hypothesis that no result of the study could decide."""
    if settings.hypothesis is None or settings.hypothesis.rule == "none":
        return
    rule = settings.hypothesis.rule
    if not settings.is_designed:
        complaint = f"is {rule}, which judges the cells of a grid, but sampler is {settings.sampler.name}"
        problems.add("hypothesis.rule", complaint, "set sampler=grid, or hypothesis=null")
        return
    fewest = MIN_BLOCKS if rule == "independence" else MIN_SEEDS
    if settings.replicates < fewest:
        complaint = (
            f"is {settings.replicates}, and hypothesis.rule={rule} decides nothing with fewer than {fewest} seeds"
        )
        problems.add("replicates", complaint, f"give {fewest} or more, or hypothesis=null")
