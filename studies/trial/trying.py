"""Tries one point: the training that a trial would make of it, ended after a few batches."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import BadInput, Problem
from studies.process.signals import TimeIsUp
from studies.schema import Failure
from studies.trial import diagnosis
from studies.trial.callbacks import Interrupted, MetricMissing
from studies.trial.cut import Cut
from studies.trial.estimate import N_TIMED, Stopwatch, whole_training_s
from studies.trial.failures import classify, classify_own, free_memory, is_ctrl_c
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.imported import import_targets
from studies.trial.job import Job
from studies.trial.links import Linked
from studies.trial.memory import set_imports_aside
from studies.trial.mixing import PackagesMixed
from studies.trial.point_config import linked, resolve
from studies.trial.procedure import is_procedure
from studies.trial.procedure_preflight import try_rung
from studies.trial.process_state import kept
from studies.trial.real_number import NotReal
from studies.trial.run import Run
from studies.trial.samples import SamplesUnknown
from studies.trial.test_part import has_test_part, look_at_test_part
from studies.trial.training import Watchers, never

log = logging.getLogger(__name__)
LOADERS = ("train_dataloader", "val_dataloader")
SAME_UNDER_SEEDS = (
    "note: a batch at one point under two training seeds gives the same losses and weights: the module seeds itself "
    "(seed_everything?) or uses no randomness, so replicates will be identical. Use ${training_seed} in the config "
    "where the module takes a seed"
)
N_BATCHES = 3  # of the point that is tried most thoroughly; the second batch finds what the first one left behind
N_OF_RANKS = 2  # batches that ranks are tried with: DDP finds unused parameters at the second
TimeUp = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Look:
    """The findings of a few batches at one point. `seconds` is the estimate for a whole trial.

    Without `is_whole` the time was up before the try had ended. `notes` are for a person. `trajectory` is as of a
    `Training`. `diverged` says how and where it did.
    """

    point: Point
    problem: Problem | None
    seconds: float | None = None
    failure: Failure | None = None
    is_whole: bool = True
    notes: tuple[str, ...] = ()
    trajectory: str = ""
    diverged: str | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How thoroughly a point is tried: with the batches of `cut`, in a validation of `n_validated` batches (None: in
    all of them), with a test part where the study asks for one, and timed."""

    cut: Cut
    n_validated: int | None = None
    tests: bool = False
    is_timed: bool = False


THOROUGH = Extent(Cut(N_BATCHES, in_order=True), tests=True)
BRIEF = Extent(Cut(1), n_validated=1)
TIMED = Extent(Cut(N_TIMED, n_epochs=2), is_timed=True)
KNOWN = Extent(Cut(1), n_validated=1, is_timed=True)  # of a budget in seconds


def try_point(
    settings: StudySettings, point: Point, extent: Extent, *, time_up: TimeUp = never, seed: int | None = None
) -> Look:
    """Train at `point` as far as `extent` says, with the length, the limits and the callbacks of a trial.

    Loggers write to a folder that is deleted. Where a trial would be tried at half the batch after out-of-memory, so is
    this. Of a procedure, the first rung is run. `time_up` is asked between batches for a reason to stop. The training
    seed is `seed`, by default the study's.
    """
    own = import_targets(settings)
    with kept(own):
        return _try_point(settings, point, extent, time_up=time_up, seed=seed)


def _try_point(settings: StudySettings, point: Point, extent: Extent, *, time_up: TimeUp, seed: int | None) -> Look:
    config = resolve(settings, point)
    if is_procedure(config):
        return _try_procedure(settings, point, config, time_up)
    set_imports_aside()
    look = _try(settings, point, None, extent, time_up, seed=seed)
    if look.failure is Failure.OUT_OF_MEMORY and settings.out_of_memory.retry != "none":
        free_memory()
        half = half_of(config, settings.out_of_memory.batch_size)
        look = look if half is None else _try(settings, point, half, extent, time_up, seed=seed)
    if look.failure is Failure.ERROR and config.get("loggers"):
        look = _with_loggers_blamed(settings, look, extent, time_up)
    free_memory()  # for the next point
    return look


def _with_loggers_blamed(settings: StudySettings, failed: Look, extent: Extent, time_up: TimeUp) -> Look:
    """Return `failed` as a problem of the loggers, where the point works without them."""
    assert failed.problem is not None
    look = _try(settings, failed.point, None, extent, time_up, with_loggers=False)
    if look.problem is not None or not look.is_whole:
        return failed
    remedy = "correct the logger, or remove it"
    return replace(failed, problem=Problem("loggers", failed.problem.complaint.replace("fails", "fail", 1), remedy))


def try_briefly(settings: StudySettings, point: Point, *, time_up: TimeUp = never) -> Look:
    """Train and validate a single batch at `point`. A failure or divergence counts if it stays with a whole validation.

    A score may need more than one batch of the validation, such as an area under a curve.
    """
    look = try_point(settings, point, BRIEF, time_up=time_up)
    is_good = look.problem is None and look.diverged is None
    if is_good or look.failure is Failure.OUT_OF_MEMORY or is_procedure(resolve(settings, point)):
        return look
    return try_point(settings, point, replace(BRIEF, n_validated=None), time_up=time_up)


def take_time(
    settings: StudySettings, point: Point, *, time_up: TimeUp = never, at_most_s: float | None = None
) -> Look:
    """Train a few batches at `point`, for `at_most_s` an epoch, with whole validations, and estimate the seconds of a
    trial."""
    extent = KNOWN if settings.budget.unit == "seconds" else replace(TIMED, cut=replace(TIMED.cut, at_most_s=at_most_s))
    return try_point(settings, point, extent, time_up=time_up)


def compare_seeds(settings: StudySettings, point: Point, *, time_up: TimeUp = never) -> Look:
    """Train a batch at `point` under two seeds, and note where that comes to the same."""
    seeds = (settings.seed, settings.seed + 1)
    first, second = (try_point(settings, point, BRIEF, time_up=time_up, seed=seed).trajectory for seed in seeds)
    return Look(point, None, notes=(SAME_UNDER_SEEDS,) if first and first == second else ())


def try_ranks(settings: StudySettings, point: Point, *, time_up: TimeUp = never) -> Problem | None:
    """Train two batches at `point` in as many processes as train a trial together, with a validation."""
    from studies.trial.ranks.crew import train_in_ranks

    n_ranks, extent = settings.devices_per_trial, Extent(Cut(N_OF_RANKS), n_validated=1)
    try:
        with TemporaryDirectory() as folder:
            job = _job(settings, resolve(settings, point), extent, Path(folder), links=linked(settings, point))
            train_in_ranks(job, n_ranks=n_ranks, watchers=Watchers(interrupted=time_up))
    except Interrupted:
        return None
    except Exception as error:  # whatever a user's module raises is what this looks for
        failure, message = classify(error)
        if failure is Failure.OUT_OF_MEMORY and settings.out_of_memory.retry != "none":
            return None
        log.info("two batches in %d processes failed", n_ranks, exc_info=True)
        complaint = f"is {n_ranks}, and so many processes fail in two batches ({message})"
        return Problem("launcher.devices_per_trial", complaint, "correct the module or trainer.strategy, or give 1")
    return None


def _try_procedure(settings: StudySettings, point: Point, config: dict[str, Any], time_up: TimeUp) -> Look:
    try:
        found = try_rung(settings, point, config, interrupted=time_up)
    except Interrupted:
        return Look(point, None, is_whole=False)
    return Look(point, found) if isinstance(found, Problem) else Look(point, None, found)


def _try(
    settings: StudySettings,
    point: Point,
    half: HalfBatch | None,
    extent: Extent,
    time_up: TimeUp,
    *,
    with_loggers: bool = True,
    seed: int | None = None,
) -> Look:
    begun = time.perf_counter()
    is_by_hand = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else no Ctrl-C comes as an exception
    config = resolve(settings, point, half=half, seed=seed)
    config = config if with_loggers else {**config, "loggers": {}}
    try:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning warns of short runs
            links = linked(settings, point, half=half, seed=seed)
            job = _job(settings, config, extent, Path(folder), links=links)
            job = job if seed is None else replace(job, seed=seed)
            run = job.build(Watchers(interrupted=time_up))
            problem = _of_test_part(settings, run)
            if problem is not None:
                return Look(point, problem)
            return _fit(settings, point, run, job.config, extent, begun=begun)
    except Interrupted:
        return Look(point, None, is_whole=False)
    except MetricMissing as error:
        return Look(point, diagnosis.of_missing(error, settings))
    except NotReal as error:
        return Look(point, diagnosis.of_unreal(error, settings))
    except PackagesMixed as error:
        return Look(point, diagnosis.of_mixed(error))
    except SamplesUnknown as error:
        return Look(point, error.problem)
    except BadInput as error:  # of loggers and links
        return Look(point, error.problems[0])
    except BaseException as error:  # whatever a user's module raises is what this looks for
        if isinstance(error, TimeIsUp) or (is_by_hand and is_ctrl_c(error)):
            raise
        log.info("one batch at %s failed", point, exc_info=True)
        return Look(point, diagnosis.of_error(error, point, config), failure=classify_own(error)[0])


def _fit(
    settings: StudySettings, point: Point, run: Run, config: Mapping[str, Any], extent: Extent, *, begun: float
) -> Look:
    """Train the run and say what it has shown."""
    stopwatch = run.package.callback(Stopwatch)(begun)
    run.trainer.callbacks.append(stopwatch)
    training = run.fit()
    problem = diagnosis.of_training(run, training, point, config)
    if problem is not None:
        return Look(point, problem)
    if extent.tests and settings.objective.test:
        problem = _of_failing_test(run, config)
    seconds = _estimate(settings, run, stopwatch) if extent.is_timed else None
    notes = tuple(_notes(run, settings.budget.unit))
    diverged = None if training.diverged is None else f"{training.diverged}{diagnosis.where(point)}"
    return Look(point, problem, seconds, notes=notes, trajectory=training.trajectory, diverged=diverged)


def _notes(run: Run, unit: str) -> Iterator[str]:
    """Tell of an epoch that may have no end, and of loaders of the module that Lightning passes over, since there is a
    data module."""
    if unit == "epochs" and math.isinf(run.trainer.num_training_batches):
        yield (
            "note: the training loader does not tell how long an epoch is. Where it never ends, no trial has a value: "
            "give a budget in steps, samples or seconds, or trainer.limit_train_batches"
        )
    found = [name for name in LOADERS if run.package.is_overridden(name, run.module)]
    if run.datamodule is not None and found:
        data, model = type(run.datamodule).__name__, type(run.module).__name__
        yield (
            f"note: datamodule is {data}, so {' and '.join(found)} of {model} are not used: "
            "datamodule=none uses the module's own"
        )


def _job(
    settings: StudySettings, config: Mapping[str, Any], extent: Extent, folder: Path, *, links: Linked | None
) -> Job:
    """Return the training of a trial whose files lie below `folder`."""
    wanted = (config.get("trainer") or {}).get("limit_val_batches")
    limits = {} if extent.n_validated is None or wanted == 0 else {"limit_val_batches": extent.n_validated}
    return Job(
        config,
        metric=settings.objective.metric,
        second=settings.objective.logged_second,
        budget=settings.budget,
        seed=settings.seed,
        folder=folder,
        trainer_arguments=limits,
        cut=extent.cut,
        offline_in=folder / "loggers",
        linked=links,
    )


def _of_test_part(settings: StudySettings, run: Run) -> Problem | None:
    if not settings.objective.test or has_test_part(run.module, run.datamodule):
        return None
    remedy = "give the module a test_step and a test_dataloader beside it, or set it to false"
    return Problem("objective.test", "is true, but the module has no test part", remedy)


def _of_failing_test(run: Run, config: Mapping[str, Any]) -> Problem | None:
    try:
        look_at_test_part(run.module, run.datamodule, config=config)
    except Exception as error:  # whatever a user's module raises is what this looks for
        log.info("the test part failed", exc_info=True)
        complaint = f"fails in its test part ({classify(error)[1]}), and objective.test is true"
        return Problem("model", complaint, "correct its test_step or test_dataloader, or set objective.test to false")
    return None


def _estimate(settings: StudySettings, run: Run, stopwatch: Stopwatch) -> float | None:
    """Return the seconds of a whole trial, None if they are unknown."""
    if settings.budget.unit == "seconds":
        seconds: float | None = float(settings.budget.amount)
    else:
        seconds = whole_training_s(run, settings.budget, stopwatch.times, n_devices=settings.devices_per_trial)
    at_most = settings.max_trial_s
    return seconds if seconds is None or at_most is None else min(seconds, at_most)
