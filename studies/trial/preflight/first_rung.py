"""Builds procedures and runs their first rung before the study, to find those that fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from studies.config.space import Point
from studies.errors import BadInput, Problem
from studies.trial.building.instantiate import instantiate
from studies.trial.failures import classify
from studies.trial.preflight.diagnosis import in_words
from studies.trial.procedures.running import ProcedureResult, run_procedure
from studies.trial.training import never

log = logging.getLogger(__name__)
REMEDY = "correct the class, or narrow the search space"


def building_problems(procedures: Sequence[tuple[Point, Mapping[str, Any]]]) -> list[Problem]:
    """Return the problem of the first procedure that cannot be built. `procedures` are points with their configs."""
    for point, config in procedures:
        try:
            instantiate(config["model"])
        except Exception as error:  # any exception of a user's class is a finding
            log.info("building the procedure at %s failed", point, exc_info=True)
            return [Problem("model", f"cannot be built at {in_words(point)} ({classify(error)[1]})", REMEDY)]
    return []


def try_rung(
    config: Mapping[str, Any],
    point: Point,
    *,
    seed: int,
    n_rungs: int,
    interrupted: Callable[[], str | None] = never,
) -> float:
    """Run the procedure at `point` until it has reported once, and estimate the seconds of a whole trial.

    Raises `BadInput` if it fails or reports nothing, `Interrupted` if it was asked to stop.
    """
    try:
        ran = run_procedure(config, seed=seed, n_rungs=n_rungs, report=lambda _rung: True, interrupted=interrupted)
    except Exception as error:  # any exception of a user's class is a finding
        log.info("the first rung at %s failed", point, exc_info=True)
        complaint = f"fails before its first rung ends, at {in_words(point)} ({classify(error)[1]})"
        raise BadInput([Problem("model", complaint, REMEDY)]) from error
    if not ran.rungs and not ran.diverged:
        complaint = f"returns at {in_words(point)} before it has reported a value"
        remedy = f"have its run call report(rung, value) for rung 1, 2, … {n_rungs}"
        raise BadInput([Problem("model", complaint, remedy)])
    return whole_s(ran, n_rungs=n_rungs)


def whole_s(ran: ProcedureResult, *, n_rungs: int) -> float:
    """Return the seconds of a whole trial if each of its rungs takes as long as the first."""
    return n_rungs * (ran.rungs[0].seconds if ran.rungs else ran.seconds)
