"""What can be found out before training: targets that do not bind, modules that fail, metrics that are never logged."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from studies.budget import Budget
from studies.errors import Problem, Problems, nearest
from studies.schema import Failure
from studies.settings import TRAINING_METRICS, StudySettings
from studies.space import Point
from studies.trial.callbacks import MetricMissing
from studies.trial.estimate import N_TIMED, TWO_EPOCHS, whole_training_s
from studies.trial.failures import classify, free_memory
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.instantiate import binding_problems
from studies.trial.objective import resolve
from studies.trial.procedure import is_procedure
from studies.trial.procedure_preflight import in_words, procedure_problems, try_rung
from studies.trial.test_part import has_test_part
from studies.trial.training import Job, Watchers

log = logging.getLogger(__name__)
ALL_BRANCHES = 200  # corner points looked at for arguments that do not bind; each takes some milliseconds
N_OF_RANKS = 2  # batches that ranks are tried with: DDP finds unused parameters at the second
SHORTEST = {"epochs": 1, "steps": 1, "samples": 1, "seconds": 1e-9}


@dataclass(frozen=True, slots=True)
class Look:
    """What a few batches at one point have shown. `seconds` is the estimate for a whole trial."""

    point: Point
    problem: Problem | None
    seconds: float | None = None
    failure: Failure | None = None


def preflight(settings: StudySettings) -> list[Problem]:
    """Bind every branch of the space, then train and validate one batch in the middle of it; then once more in as many
    processes as train a trial together."""
    problems = Problems()
    corners = settings.space.corners(limit=ALL_BRANCHES)
    for point in corners:
        binding_problems(resolve(settings, point), problems)
    if not problems.found:
        problems.found += procedure_problems(settings, corners)
    if not problems.found:
        middle = settings.space.from_unit([0.5] * len(settings.space))
        problem = try_batch(settings, middle).problem
        if problem is None and settings.devices_per_trial > 1:
            problem = try_ranks(settings, middle)
        if problem is not None:
            problems.found.append(problem)
    return problems.found


def look(settings: StudySettings, points: Sequence[Point], *, timed: bool = False) -> list[Look]:
    """Train and validate a batch at each of `points`; with `timed`, estimate what a whole trial takes there."""
    return [try_batch(settings, point, timed=timed) for point in points]


def try_batch(settings: StudySettings, point: Point, *, timed: bool = False) -> Look:
    """The shortest training in the study's own unit, with a validation, at `point`; with `timed`, an estimate too.

    Where a trial would be tried at half the batch after out-of-memory, so is the batch here. Of a procedure, the first
    rung is tried.
    """
    config = resolve(settings, point)
    if is_procedure(config):
        found = try_rung(settings, point, config)
        return Look(point, found) if isinstance(found, Problem) else Look(point, None, found)
    look = _try_batch(settings, point, None, timed=timed)
    if look.failure is not Failure.OUT_OF_MEMORY or settings.out_of_memory.retry == "none":
        return look
    free_memory()
    half = half_of(config, settings.out_of_memory.batch_size)
    return look if half is None else _try_batch(settings, point, half, timed=timed)


def try_ranks(settings: StudySettings, point: Point) -> Problem | None:
    """Two batches at `point` in as many processes as train a trial together, with a validation."""
    from studies.trial.ranks.crew import train_in_ranks

    epoch = Budget("epochs", 1, 1)
    try:
        with TemporaryDirectory() as folder:
            job = _short_job(settings, point, None, Path(folder), budget=epoch, n_batches=N_OF_RANKS, n_validated=1)
            train_in_ranks(job, n_ranks=settings.devices_per_trial, watchers=Watchers())
    except Exception as error:  # whatever a user's module raises is what this looks for
        failure, message = classify(error)
        if failure is Failure.OUT_OF_MEMORY and settings.out_of_memory.retry != "none":
            return None
        log.info("two batches in %d processes failed", settings.devices_per_trial, exc_info=True)
        complaint = f"is {settings.devices_per_trial}, and so many processes fail in two batches ({message})"
        remedy = "correct the module or trainer.strategy, or give 1"
        return Problem("launcher.devices_per_trial", complaint, remedy)
    return None


def _try_batch(settings: StudySettings, point: Point, half: HalfBatch | None, *, timed: bool) -> Look:
    try:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning warns of short runs
            shortest = Budget(settings.budget.unit, SHORTEST[settings.budget.unit], 1)
            job = _short_job(settings, point, half, Path(folder), budget=shortest, n_batches=1, n_validated=1)
            run = job.build()
            if settings.objective.test and not has_test_part(run.module, run.datamodule):
                remedy = "give the module a test_step and a test_dataloader beside it, or set it to false"
                return Look(point, Problem("objective.test", "is true, but the module has no test part", remedy))
            run.fit()
            return Look(point, None, _estimate(settings, point, half, Path(folder)) if timed else None)
    except MetricMissing as error:
        return Look(point, _missing(error, settings))
    except Exception as error:  # whatever a user's module raises is what this looks for
        log.info("one batch at %s failed", point, exc_info=True)
        failure, message = classify(error)
        complaint = f"fails in one batch at {in_words(point)} ({message})"
        return Look(point, Problem("model", complaint, "correct the module or the space"), failure=failure)


def _missing(error: MetricMissing, settings: StudySettings) -> Problem:
    """Which of the objectives the module does not log, and what it could be."""
    remedy = "log it in validation_step (or in training_step), or"
    if error.missing == settings.objective.metric:
        complaint = f"is {error.missing}, but {error}"
        return Problem("objective.metric", complaint, f"{remedy} set objective.metric to one that is logged")
    known = [name for name in (*TRAINING_METRICS, *error.logged) if name != settings.objective.metric]
    complaint = f"is {error.missing}, but {error}"
    return Problem("objective.second.metric", complaint, f"{nearest(error.missing, known)}; {remedy} name one of these")


def _short_job(
    settings: StudySettings,
    point: Point,
    half: HalfBatch | None,
    folder: Path,
    *,
    budget: Budget,
    n_batches: int,
    n_validated: float | None,
) -> Job:
    """A training of `n_batches` an epoch that validates `n_validated` batches; None: as many as a trial does."""
    config = resolve(settings, point, half=half)
    wanted = (config.get("trainer") or {}).get("limit_val_batches")
    return Job(
        {**config, "loggers": {}},
        metric=settings.objective.metric,
        second=settings.objective.logged_second,
        budget=budget,
        seed=settings.seed,
        folder=folder,
        trainer_arguments={
            "limit_train_batches": n_batches,
            **({} if n_validated is None else {"limit_val_batches": 0 if wanted == 0 else n_validated}),
        },
    )


def _estimate(settings: StudySettings, point: Point, half: HalfBatch | None, folder: Path) -> float | None:
    """Seconds of a whole trial at `point`; None where they cannot be told."""
    if settings.budget.unit == "seconds":
        seconds: float | None = float(settings.budget.amount)
    else:
        job = _short_job(settings, point, half, folder, budget=TWO_EPOCHS, n_batches=N_TIMED, n_validated=None)
        begun = time.perf_counter()
        run = job.build()
        built_s = time.perf_counter() - begun
        trained_s = whole_training_s(run, settings.budget, job.config, n_devices=settings.devices_per_trial)
        seconds = None if trained_s is None else built_s + trained_s
    at_most = settings.max_trial_s
    return seconds if seconds is None or at_most is None else min(seconds, at_most)
