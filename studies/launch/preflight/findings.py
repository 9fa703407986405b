"""What is to be tried before any worker starts, and what was found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problem

if TYPE_CHECKING:
    from studies.trial.preflight.dry_run import DryRun
    from studies.trial.preflight.preflight import PointKind


@dataclass(frozen=True, slots=True)
class Plan:
    """The study to check, the points besides the middle of its space, and the end of the check."""

    settings: StudySettings
    corners: tuple[Point, ...]
    typical: tuple[Point, ...]
    until: float | None = None  # of `time.monotonic`; None: until all points are tried
    at_least_s: float = 0.0  # counted from the moment when torch is loaded

    @property
    def n_points(self) -> int:
        """The number of points, with the middle."""
        return 1 + len(self.corners) + len(self.typical)

    def ends(self) -> float | None:
        """Return the end of a check whose first point is tried now."""
        return None if self.until is None else max(self.until, time.monotonic() + self.at_least_s)


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of the findings of a check, or all those of a first batch."""

    gpus: tuple[str, ...] = ()  # of this machine
    until: float | None = None  # the end of the check
    is_procedure: bool = False
    problems: tuple[Problem, ...] = ()
    kind: PointKind | None = None  # of the point that `dry_run` tried
    dry_run: DryRun | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    """All findings of a check. Its `typical` dry runs stand for all trials, else the middle of the space."""

    gpus: list[str] = field(default_factory=list)
    is_procedure: bool = False
    problems: list[Problem] = field(default_factory=list)
    dry_runs: list[DryRun] = field(default_factory=list)
    typical: list[DryRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Add a piece."""
        self.gpus += found.gpus
        self.is_procedure = self.is_procedure or found.is_procedure
        self.problems += found.problems
        self.notes += found.notes
        dry_run = found.dry_run
        self.notes += [note for note in (dry_run.notes if dry_run is not None else ()) if note not in self.notes]
        if dry_run is None or (not dry_run.is_whole and dry_run.problem is None):
            return
        if dry_run.problem is not None:
            self.problems.append(dry_run.problem)
        if found.kind not in ("ranks", "seeds"):
            self.dry_runs.append(dry_run)
        if found.kind == "typical":
            self.typical.append(dry_run)

    @property
    def seconds(self) -> list[float]:
        """The estimated seconds of whole trials."""
        dry_runs = self.typical or self.dry_runs[:1]
        return [dry_run.seconds for dry_run in dry_runs if dry_run.seconds is not None]
