"""The points of a check, its findings, and the process that tries the points."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from studies.errors import Problem
from studies.launch.remote import on_any_accelerator
from studies.launch.worker_process import begin_trying, gpu_ids, of_failure, of_places
from studies.leaving import ends_in_time
from studies.resolvers import load_resolvers
from studies.secrets import remember_those_of
from studies.settings import StudySettings
from studies.space import Point
from studies.storage.identity import fixed_config

if TYPE_CHECKING:
    from studies.trial.preflight import Kind
    from studies.trial.trying import Look

LAST_BATCH_S = 1.0  # to end between two batches, before the parent ends the process


@dataclass(frozen=True, slots=True)
class Plan:
    """The points of a check besides the middle of the space, and its end, by `time.monotonic`.

    The check ends at `until`, None: when all points are tried. It goes on for `at_least_s` after torch is loaded.
    """

    corners: tuple[Point, ...]
    typical: tuple[Point, ...]
    until: float | None = None
    at_least_s: float = 0.0

    @property
    def n_points(self) -> int:
        """How many points there are, the middle included."""
        return 1 + len(self.corners) + len(self.typical)

    def ends(self) -> float | None:
        """Return when to end, where trying begins now."""
        return None if self.until is None else max(self.until, time.monotonic() + self.at_least_s)


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of the findings of a check. `until`: when it ends. `kind`: of the point at which `look` was."""

    gpus: tuple[str, ...] = ()
    until: float | None = None
    is_procedure: bool = False
    problems: tuple[Problem, ...] = ()
    kind: Kind | None = None
    look: Look | None = None
    notes: tuple[str, ...] = ()


def check_points(settings: StudySettings, plan: Plan, *, margin_s: float = 0.0) -> Iterator[Found]:
    """Yield the findings on this machine's devices, at the targets, and at the points of the `plan`.

    The first piece says when the check ends. Between two batches it ends `margin_s` earlier.
    """
    from studies.trial.preflight import bound, looks, notes
    from studies.trial.procedure import is_procedure

    gpus, until = tuple(gpu_ids()), plan.ends()
    yield Found(gpus=gpus, until=until)
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    tried = on_any_accelerator(settings)
    problems = of_places(settings) or bound(tried)
    yield Found(problems=tuple(problems), is_procedure=not problems and is_procedure(fixed_config(settings)))
    if problems:
        return
    yield Found(notes=tuple(notes(tried)))
    earlier = None if until is None else until - margin_s
    for kind, look in looks(tried, corners=plan.corners, typical=plan.typical, until=earlier):
        yield Found(kind=kind, look=look)


def run_check(settings: StudySettings, plan: Plan, log: Path, answers: Connection) -> None:
    """Send the findings of `check_points` one by one, then None."""
    begin_trying(log)
    with ends_in_time():
        try:
            for found in check_points(settings, plan, margin_s=LAST_BATCH_S):
                answers.send(found)
        except Exception as error:  # noqa: BLE001 - logged, and told by the parent
            answers.send(Found(problems=(of_failure(error, log),)))
        answers.send(None)
