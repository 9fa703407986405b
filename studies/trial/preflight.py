"""What can be found out before training: targets that do not bind, modules that fail, metrics that are never logged."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from studies.budget import Budget
from studies.errors import Problem, Problems
from studies.settings import StudySettings
from studies.space import Point
from studies.trial.callbacks import MetricMissing
from studies.trial.failures import classify
from studies.trial.instantiate import binding_problems
from studies.trial.objective import resolve
from studies.trial.training import Run, build

log = logging.getLogger(__name__)
ALL_BRANCHES = 200  # corner points looked at for arguments that do not bind; each takes some milliseconds
N_TIMED = 8  # batches that an estimate of a step's time rests on
SHORTEST = {"epochs": 1, "steps": 1, "samples": 1, "seconds": 1e-9}


@dataclass(frozen=True, slots=True)
class Look:
    """What a few batches at one point have shown. `seconds` is the estimate for a whole trial."""

    point: Point
    problem: Problem | None
    seconds: float | None = None


def preflight(settings: StudySettings) -> list[Problem]:
    """Bind every branch of the space, then train and validate one batch in the middle of it."""
    problems = Problems()
    for point in settings.space.corners(limit=ALL_BRANCHES):
        binding_problems(resolve(settings, point), problems)
    if not problems.found:
        problem = try_batch(settings, settings.space.from_unit([0.5] * len(settings.space))).problem
        if problem is not None:
            problems.found.append(problem)
    return problems.found


def look(settings: StudySettings, points: Sequence[Point]) -> list[Look]:
    """Train and validate a few batches at each of `points`, and estimate what a whole trial takes there."""
    return [try_batch(settings, point, timed=True) for point in points]


def try_batch(settings: StudySettings, point: Point, *, timed: bool = False) -> Look:
    """The shortest training in the study's own unit, with a validation, at `point`; with `timed`, an estimate too."""
    try:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning warns of short runs
            shortest = Budget(settings.budget.unit, SHORTEST[settings.budget.unit], 1)
            _short_run(settings, point, Path(folder), budget=shortest, n_batches=1, n_validated=1).fit()
            return Look(point, None, _estimate(settings, point, Path(folder)) if timed else None)
    except MetricMissing as error:
        remedy = "log it in validation_step (or in training_step), or set objective.metric to one that is logged"
        complaint = f"is {settings.objective.metric}, but {error}"
        return Look(point, Problem("objective.metric", complaint, remedy))
    except Exception as error:  # whatever a user's module raises is what this looks for
        log.info("one batch at %s failed", point, exc_info=True)
        _, message = classify(error)
        where = ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}" for n, v in point.items())
        complaint = f"fails in one batch at {where} ({message})"
        return Look(point, Problem("model", complaint, "correct the module or the space"))


def _short_run(
    settings: StudySettings, point: Point, folder: Path, *, budget: Budget, n_batches: int, n_validated: float
) -> Run:
    config = resolve(settings, point)
    wanted = (config.get("trainer") or {}).get("limit_val_batches")
    return build(
        {**config, "loggers": {}},
        metric=settings.objective.metric,
        budget=budget,
        seed=settings.seed,
        folder=folder,
        limit_train_batches=n_batches,
        limit_val_batches=0 if wanted == 0 else n_validated,
    )


def _estimate(settings: StudySettings, point: Point, folder: Path) -> float | None:
    """Seconds of a whole trial: its steps times a step's time, and its rungs times a validation's.

    None where the loader does not tell how long an epoch is.
    """
    if settings.budget.unit == "seconds":
        return float(settings.budget.amount)
    epoch = Budget("epochs", 1, 1)
    runs = [_short_run(settings, point, folder, budget=epoch, n_batches=n, n_validated=1.0) for n in (2, 2 + N_TIMED)]
    short_s, long_s = (run.fit().seconds for run in runs)
    n_batches = _n_batches(settings.budget, runs[1])
    n_extra = runs[1].rungs.batches - runs[0].rungs.batches
    step_s = max(0.0, long_s - short_s) / n_extra if n_extra else short_s
    return None if n_batches is None else n_batches * step_s + settings.budget.rungs * short_s


def _n_batches(budget: Budget, run: Run) -> float | None:
    """Batches of a whole trial."""
    if budget.unit == "steps":
        return float(budget.amount)
    if budget.unit == "samples":
        return budget.amount * run.rungs.batches / run.rungs.samples_seen
    loader: Any = run.trainer.train_dataloader
    return float(budget.amount * len(loader)) if hasattr(loader, "__len__") else None
