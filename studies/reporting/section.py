"""A section of a report: one function from the view of a study to a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studies.reporting.finding import Finding
from studies.reporting.view import StudyView


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section, with the files that it may leave."""

    compute: Callable[[StudyView], Finding | None]  # None: nothing to say about this study
    files: tuple[str, ...] = ()  # patterns of all its paths below the output folder
    needs_config: bool = False  # whether its files do: a report from the storage alone leaves earlier ones alone
    is_slow: bool = False  # whether it needs the analysis, which may take minutes
