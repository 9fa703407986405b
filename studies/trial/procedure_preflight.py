"""What can be found out about procedures before the study: those that cannot be built, and a first rung that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problem
from studies.trial.diagnosis import in_words
from studies.trial.failures import classify
from studies.trial.instantiate import instantiate
from studies.trial.objective import resolve
from studies.trial.procedure import is_procedure, misplaced
from studies.trial.procedure_run import Ran, run_procedure
from studies.trial.training import never

log = logging.getLogger(__name__)
MAX_BUILT = 40  # corner points whose procedures are built


def procedure_problems(settings: StudySettings, corners: Sequence[Point]) -> list[Problem]:
    """The settings that do nothing for the procedures at `corners`, and the first that cannot be built."""
    configs = [(point, resolve(settings, point)) for point in corners[:MAX_BUILT]]
    procedures = [(point, config) for point, config in configs if is_procedure(config)]
    found = list(dict.fromkeys(problem for _, config in procedures for problem in misplaced(settings, config)))
    for point, config in procedures if not found else ():
        try:
            instantiate(config["model"])
        except Exception as error:  # whatever a user's class raises is what this looks for
            log.info("building the procedure at %s failed", point, exc_info=True)
            complaint = f"cannot be built at {in_words(point)} ({classify(error)[1]})"
            return [Problem("model", complaint, "correct the class, or narrow the search space")]
    return found


def try_rung(
    settings: StudySettings, point: Point, config: dict[str, object], *, interrupted: Callable[[], str | None] = never
) -> Problem | float:
    """Run the procedure at `point` until it has reported once: what is wrong with it, or an estimate of the seconds of
    a whole trial: the first rung's times the number of rungs. Raises `Interrupted` where it was asked to stop."""
    rungs = settings.budget.rungs
    try:
        ran = run_procedure(
            config, seed=settings.seed, n_rungs=rungs, report=lambda _rung: True, interrupted=interrupted
        )
    except Exception as error:  # whatever a user's class raises is what this looks for
        log.info("the first rung at %s failed", point, exc_info=True)
        complaint = f"fails before its first rung ends, at {in_words(point)} ({classify(error)[1]})"
        return Problem("model", complaint, "correct the class, or narrow the search space")
    if not ran.rungs and not ran.diverged:
        complaint = f"returns at {in_words(point)} before it has reported a value"
        return Problem("model", complaint, f"have its run call report(rung, value) for rung 1, 2, … {rungs}")
    return whole_s(ran, n_rungs=rungs)


def whole_s(ran: Ran, *, n_rungs: int) -> float:
    """Return the seconds of a whole trial if each of its rungs takes as long as the first."""
    return n_rungs * (ran.rungs[0].seconds if ran.rungs else ran.seconds)
