"""Finds mistakes before a study: targets that do not bind, failing modules, missing metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from omegaconf.errors import OmegaConfBaseException

from studies.config.resolvers import REMEDY
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problem, Problems
from studies.trial.building.instantiate import binding_problems
from studies.trial.building.mixing import exchanged
from studies.trial.finders import finder_notes
from studies.trial.loggers.kinds import logger_problems
from studies.trial.point_config import PointConfig
from studies.trial.preflight.diagnosis import where
from studies.trial.preflight.dry_run import (
    THOROUGH,
    DryRun,
    TimeUp,
    compare_seeds,
    dry_run,
    dry_run_briefly,
    dry_run_ranks,
    estimate_time,
)
from studies.trial.preflight.first_rung import building_problems
from studies.trial.procedures.procedure import is_procedure, misplaced
from studies.trial.training import tell_nobody

PointKind = Literal["middle", "ranks", "seeds", "corner", "typical"]
ALL_BRANCHES = 200  # corner points whose arguments are bound; each takes some milliseconds
MAX_BUILT = 40  # corner points whose procedures are built
FOR_BATCHES = 0.1  # of the time of a check, for an epoch with several batches
FOR_CORNERS = 0.6  # of the time of a check; the rest is for typical points


def preflight(settings: StudySettings, *, tell: Callable[[str], None] = tell_nobody) -> list[Problem]:
    """Bind every branch of the space, then train a few batches in the middle of it, with a whole validation.

    Where several processes train a trial together, this is done with them too. `tell` is told if the training takes
    longer than `check.max_s` and ends between two batches.
    """
    trial = Preflight(settings)
    problems = trial.bound()
    if problems:
        return problems
    for note in trial.notes():
        tell(note)
    time_up = stop_after(settings.check.max_s)
    found = dry_run(trial.middle, THOROUGH, time_up=time_up)
    problem = found.problem
    for note in found.notes:
        tell(note)
    if found.diverged is not None:
        tell(f"note: the training diverges in its first batches ({found.diverged})")
    if problem is None and settings.devices_per_trial > 1:
        problem = dry_run_ranks(trial.middle, time_up=time_up)
    if problem is None and time_up() is not None:
        tell(
            f"note: the first batches and their validation took longer than check.max_s={settings.check.max_s:g} s, so "
            "they were not tried to their end"
        )
    return [] if problem is None else [problem]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What can be tried of a study before its first trial."""

    settings: StudySettings

    @property
    def middle(self) -> PointConfig:
        """The point in the middle of the space."""
        space = self.settings.space
        return PointConfig(self.settings, space.from_unit([0.5] * len(space)))

    def bound(self) -> list[Problem]:
        """Return the problems of the targets at the corners of the space, without a batch."""
        settings, problems = self.settings, Problems()
        procedures: list[tuple[Point, dict[str, Any]]] = []
        for point in settings.space.corners(limit=ALL_BRANCHES):
            try:
                config = PointConfig(settings, point).resolved()
            except OmegaConfBaseException as error:
                complaint = f"cannot be resolved in a worker{where(point)} ({str(error).splitlines()[0]})"
                problems.add(error.full_key or "model", complaint, REMEDY)
                return problems.found
            binding_problems(config, problems)
            logger_problems(config, problems)
            if is_procedure(config):
                procedures.append((point, config))
        if problems.found:
            return problems.found
        misplaced_ones = [
            problem
            for _, config in procedures[:MAX_BUILT]
            for problem in misplaced(
                config,
                objective=settings.objective,
                has_links=bool(settings.links),
                devices_per_trial=settings.devices_per_trial,
            )
        ]
        return list(dict.fromkeys(misplaced_ones)) or building_problems(procedures[:MAX_BUILT])

    def notes(self) -> list[str]:
        """Return remarks on the config that a person should know, though nothing is wrong."""
        found = finder_notes(self.settings.template, self.settings.space)
        return [f"note: {sentence}" for sentence in (*exchanged(self.middle.resolved()), *found)]

    def dry_runs(
        self, *, corners: Sequence[Point], typical: Sequence[Point], until: float | None
    ) -> Iterator[tuple[PointKind, DryRun]]:
        """Yield each dry run with its kind: in the middle, at `corners` with one batch, and timed at `typical` points.

        The kind `ranks` is the middle again, in as many processes as train a trial together. The kind `seeds` is the
        middle under two seeds. No dry run begins after `until` (of `time.monotonic`), and the last one ends between two
        batches. The corners leave some of the time to typical points. A problem in the middle ends the dry runs.
        """
        begun = time.monotonic()
        for_corners = None if until is None else begun + FOR_CORNERS * (until - begun)
        at_most_s = None if until is None else FOR_BATCHES * (until - begun)
        thorough = replace(THOROUGH, is_timed=True, batch_limit=replace(THOROUGH.batch_limit, at_most_s=at_most_s))
        found = dry_run(self.middle, thorough, time_up=stop_at(until))
        first = found
        yield "middle", first
        if found.problem is None and self.settings.devices_per_trial > 1 and not _is_over(until):
            found = DryRun(found.point, dry_run_ranks(self.middle, time_up=stop_at(until)))
            yield "ranks", found
        if found.problem is not None:
            return
        if first.trajectory and not _is_over(until):
            yield "seeds", compare_seeds(self.middle, time_up=stop_at(until))
        for point in corners:
            if _is_over(for_corners):
                break
            yield "corner", dry_run_briefly(PointConfig(self.settings, point), time_up=stop_at(until))
        for point in typical:
            if _is_over(until):
                break
            at = PointConfig(self.settings, point)
            yield "typical", estimate_time(at, time_up=stop_at(until), at_most_s=at_most_s)


def stop_at(until: float | None) -> TimeUp:
    """Return a function that gives a reason to stop from `until` on."""
    return lambda: "the time is up" if _is_over(until) else None


def stop_after(seconds: float | None) -> TimeUp:
    """Return a function that gives a reason to stop so many seconds after its first call."""
    until: float | None = None

    def time_up() -> str | None:
        nonlocal until
        if until is None and seconds is not None:
            until = time.monotonic() + seconds
        return stop_at(until)()

    return time_up


def _is_over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until
