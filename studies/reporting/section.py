"""What a section of a report is: one function from the view of a study to a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studies.reporting.finding import Finding
from studies.reporting.view import StudyView


@dataclass(frozen=True, slots=True)
class ReportSection:
    """`compute` returns None where it has nothing to say about a study.

    `files` are patterns of every path that it may leave below the output folder, `is_slow` whether it needs the
    analysis, which may take minutes.
    """

    compute: Callable[[StudyView], Finding | None]
    files: tuple[str, ...] = ()
    is_slow: bool = False
