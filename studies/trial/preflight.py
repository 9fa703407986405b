"""Finds mistakes before a study: targets that do not bind, failing modules, missing metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from omegaconf.errors import OmegaConfBaseException

from studies.config.resolvers import REMEDY
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problem, Problems
from studies.trial.diagnosis import where
from studies.trial.instantiate import binding_problems
from studies.trial.logger_kinds import logger_problems
from studies.trial.mixing import exchanged
from studies.trial.objective import resolve
from studies.trial.overwritten import finder_notes
from studies.trial.procedure_preflight import procedure_problems
from studies.trial.training import tell_nobody
from studies.trial.trying import THOROUGH, Look, TimeUp, compare_seeds, take_time, try_briefly, try_point, try_ranks

Kind = Literal["middle", "ranks", "seeds", "corner", "typical"]
ALL_BRANCHES = 200  # corner points looked at for arguments that do not bind; each takes some milliseconds
FOR_BATCHES = 0.1  # of the time of a check, in each epoch that is tried with several batches
FOR_CORNERS = 0.6  # of the time of a check; the rest is for points that stand for all


def preflight(settings: StudySettings, *, tell: Callable[[str], None] = tell_nobody) -> list[Problem]:
    """Bind every branch of the space, then train a few batches in the middle of it, with a whole validation.

    This is done once more in as many processes as train a trial together. The training ends between two batches once it
    takes longer than `check.max_s`, of which `tell` is told.
    """
    problems = bound(settings)
    if problems:
        return problems
    for note in notes(settings):
        tell(note)
    time_up = after(settings.check.max_s)
    look = try_point(settings, middle(settings), THOROUGH, time_up=time_up)
    problem = look.problem
    for note in look.notes:
        tell(note)
    if look.diverged is not None:
        tell(f"note: the training diverges in its first batches ({look.diverged})")
    if problem is None and settings.devices_per_trial > 1:
        problem = try_ranks(settings, look.point, time_up=time_up)
    if problem is None and time_up() is not None:
        tell(
            f"note: the first batches and their validation took longer than check.max_s={settings.check.max_s:g} s, so "
            "they were not tried to their end"
        )
    return [] if problem is None else [problem]


def bound(settings: StudySettings) -> list[Problem]:
    """Return the problems of the targets at the corners of the space, without a batch."""
    problems = Problems()
    corners = settings.space.corners(limit=ALL_BRANCHES)
    for point in corners:
        try:
            config = resolve(settings, point)
        except OmegaConfBaseException as error:
            complaint = f"cannot be resolved in a worker{where(point)} ({str(error).splitlines()[0]})"
            problems.add(error.full_key or "model", complaint, REMEDY)
            return problems.found
        binding_problems(config, problems)
        logger_problems(config, problems)
    return problems.found or procedure_problems(settings, corners)


def notes(settings: StudySettings) -> list[str]:
    """Return what a person should know of the config, though nothing is wrong with it."""
    sentences = (*exchanged(resolve(settings, middle(settings))), *finder_notes(settings))
    return [f"note: {sentence}" for sentence in sentences]


def look(settings: StudySettings, points: Sequence[Point], *, timed: bool = False) -> list[Look]:
    """Train and validate a batch at each of `points`. With `timed`, estimate the time of a whole trial there."""
    return [take_time(settings, point) if timed else try_briefly(settings, point) for point in points]


def looks(
    settings: StudySettings, *, corners: Sequence[Point], typical: Sequence[Point], until: float | None
) -> Iterator[tuple[Kind, Look]]:
    """Yield each look with its kind: the middle of the space, `corners` with one batch each, `typical` points timed.

    The kind `ranks` is the middle again, in as many processes as train a trial together. The kind `seeds` is the middle
    under two seeds. No look begins after `until` (of `time.monotonic`), and the last one ends between two batches. The
    corners leave some of the time to typical points. After a problem in the middle there is no further look.
    """
    begun = time.monotonic()
    for_corners = None if until is None else begun + FOR_CORNERS * (until - begun)
    at_most_s = None if until is None else FOR_BATCHES * (until - begun)
    thorough = replace(THOROUGH, is_timed=True, cut=replace(THOROUGH.cut, at_most_s=at_most_s))
    found = try_point(settings, middle(settings), thorough, time_up=at(until))
    first = found
    yield "middle", first
    if found.problem is None and settings.devices_per_trial > 1 and not _is_over(until):
        found = Look(found.point, try_ranks(settings, found.point, time_up=at(until)))
        yield "ranks", found
    if found.problem is not None:
        return
    if first.trajectory and not _is_over(until):
        yield "seeds", compare_seeds(settings, first.point, time_up=at(until))
    for point in corners:
        if _is_over(for_corners):
            break
        yield "corner", try_briefly(settings, point, time_up=at(until))
    for point in typical:
        if _is_over(until):
            break
        yield "typical", take_time(settings, point, time_up=at(until), at_most_s=at_most_s)


def middle(settings: StudySettings) -> Point:
    """Return the point in the middle of the space."""
    return settings.space.from_unit([0.5] * len(settings.space))


def at(until: float | None) -> TimeUp:
    """Return a function that gives a reason to stop from `until` on."""
    return lambda: "the time is up" if _is_over(until) else None


def after(seconds: float | None) -> TimeUp:
    """Return a function that gives a reason to stop so many seconds after its first call."""
    until: float | None = None

    def time_up() -> str | None:
        nonlocal until
        if until is None and seconds is not None:
            until = time.monotonic() + seconds
        return at(until)()

    return time_up


def _is_over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until
