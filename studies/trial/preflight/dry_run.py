"""Tries one point: trains it as a trial would, and ends after a few batches."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from studies.config.space import Point
from studies.errors import BadInput, Problem
from studies.process.signals import TimeIsUp
from studies.schema import Failure
from studies.trial.failures import classify, classify_own, is_ctrl_c
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.job import Job
from studies.trial.memory import free_memory, set_imports_aside
from studies.trial.point_config import PointConfig
from studies.trial.preflight import diagnosis
from studies.trial.preflight.duration import N_TIMED, Stopwatch, whole_training_s
from studies.trial.preflight.first_rung import try_rung
from studies.trial.procedures.procedure import is_procedure
from studies.trial.process_state.state import import_targets, kept
from studies.trial.ranks.processes import train_in_ranks
from studies.trial.run import Run
from studies.trial.rungs.batch_limit import BatchLimit
from studies.trial.rungs.rungs import Interrupted
from studies.trial.testing import evaluate_test_set, has_test_set
from studies.trial.training import Watchers, never

log = logging.getLogger(__name__)
LOADERS = ("train_dataloader", "val_dataloader")
SAME_UNDER_SEEDS = (
    "note: a batch at one point under two training seeds gives the same losses and weights: the module seeds itself "
    "(seed_everything?) or uses no randomness, so replicates will be identical. Use ${training_seed} in the config "
    "where the module takes a seed"
)
NO_TEST_SET = Problem(
    "objective.test",
    "is true, but the module has no test set",
    "give the module a test_step and a test_dataloader beside it, or set it to false",
)
N_BATCHES = 3  # for the middle of the space; the second one meets the traces of the first
N_OF_RANKS = 2  # batches for ranks: DDP finds unused parameters at the second
TimeUp = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class DryRun:
    """The findings of a few batches at one point."""

    point: Point
    problem: Problem | None
    seconds: float | None = None  # estimated for a whole trial
    failure: Failure | None = None
    is_whole: bool = True  # false: the time was up before the try had ended
    notes: tuple[str, ...] = ()  # for a person
    trajectory: str = ""  # as of a `Training`
    diverged: str | None = None  # how and where


@dataclass(frozen=True, slots=True)
class Extent:
    """How thoroughly a point is tried."""

    batch_limit: BatchLimit  # batches of training
    n_validated: int | None = None  # batches of a validation, None: all of them
    tests: bool = False  # with the test set, if the study asks for one
    is_timed: bool = False


THOROUGH = Extent(BatchLimit(N_BATCHES, in_order=True), tests=True)
BRIEF = Extent(BatchLimit(1), n_validated=1)
TIMED = Extent(BatchLimit(N_TIMED, n_epochs=2), is_timed=True)
KNOWN = Extent(BatchLimit(1), n_validated=1, is_timed=True)  # of a budget in seconds


def dry_run(at: PointConfig, extent: Extent, *, time_up: TimeUp = never) -> DryRun:
    """Train at a point as far as `extent` says, with the length, limits and callbacks of a trial.

    Loggers write to a folder that is deleted. Out-of-memory is followed by half the batch as in a trial. Of a
    procedure, the first rung is run. `time_up` is asked between batches for a reason to stop.
    """
    with kept(import_targets(at.settings.template, at.settings.space)):
        return _PointRun(at, extent, time_up).result()


def dry_run_briefly(at: PointConfig, *, time_up: TimeUp = never) -> DryRun:
    """Train and validate a single batch at a point. A failure or divergence counts if it stays with a whole validation.

    A score may need more than one batch of the validation, such as an area under a curve.
    """
    found = dry_run(at, BRIEF, time_up=time_up)
    is_good = found.problem is None and found.diverged is None
    if is_good or found.failure is Failure.OUT_OF_MEMORY or is_procedure(at.resolved()):
        return found
    return dry_run(at, replace(BRIEF, n_validated=None), time_up=time_up)


def estimate_time(at: PointConfig, *, time_up: TimeUp = never, at_most_s: float | None = None) -> DryRun:
    """Train a few batches at a point with whole validations, and estimate the seconds of a trial.

    An epoch of it takes at most about `at_most_s`.
    """
    timed = replace(TIMED, batch_limit=replace(TIMED.batch_limit, at_most_s=at_most_s))
    return dry_run(at, KNOWN if at.settings.budget.unit == "seconds" else timed, time_up=time_up)


def compare_seeds(at: PointConfig, *, time_up: TimeUp = never) -> DryRun:
    """Train a batch at a point under two seeds, and note where the results are the same."""
    seeds = (at.settings.seed, at.settings.seed + 1)
    first, second = (dry_run(replace(at, seed=seed), BRIEF, time_up=time_up).trajectory for seed in seeds)
    return DryRun(at.point, None, notes=(SAME_UNDER_SEEDS,) if first and first == second else ())


def dry_run_ranks(at: PointConfig, *, time_up: TimeUp = never) -> Problem | None:
    """Train two batches at a point in as many processes as train a trial together, with a validation."""
    n_ranks = at.settings.devices_per_trial
    trying = _PointRun(at, Extent(BatchLimit(N_OF_RANKS), n_validated=1), time_up)
    try:
        with TemporaryDirectory() as folder:
            train_in_ranks(trying.job(Path(folder)), n_ranks=n_ranks, watchers=Watchers(interrupted=time_up))
    except Interrupted:
        return None
    except Exception as error:  # any exception of a user's module is a finding
        failure, message = classify(error)
        if failure is Failure.OUT_OF_MEMORY and at.settings.out_of_memory.retry != "none":
            return None
        log.info("two batches in %d processes failed", n_ranks, exc_info=True)
        complaint = f"is {n_ranks}, and so many processes fail in two batches ({message})"
        return Problem("launcher.devices_per_trial", complaint, "correct the module or trainer.strategy, or give 1")
    return None


@dataclass(frozen=True, slots=True)
class _PointRun:
    """One dry run: its point, its extent, and its steps."""

    at: PointConfig
    extent: Extent
    time_up: TimeUp
    half: HalfBatch | None = None
    with_loggers: bool = True

    def result(self) -> DryRun:
        """Run the first rung of a procedure, or train. Repeat at half the batch, or without loggers, if that helps."""
        config = self.at.resolved()
        if is_procedure(config):
            return self._run_procedure(config)
        set_imports_aside()
        found, rule = self._train(), self.at.settings.out_of_memory
        if found.failure is Failure.OUT_OF_MEMORY and rule.retry != "none":
            free_memory()
            half = half_of(config, rule.batch_size)
            found = found if half is None else replace(self, half=half)._train()
        if found.failure is Failure.ERROR and config.get("loggers"):
            found = self._with_loggers_blamed(found)
        free_memory()  # for the next point
        return found

    def job(self, folder: Path) -> Job:
        """Return the training of a trial, cut short, with its files below `folder`."""
        job = self.at.job(folder, self.half)
        wanted, n_validated = (job.config.get("trainer") or {}).get("limit_val_batches"), self.extent.n_validated
        return replace(
            job,
            config=job.config if self.with_loggers else {**job.config, "loggers": {}},
            trainer_arguments={} if n_validated is None or wanted == 0 else {"limit_val_batches": n_validated},
            batch_limit=self.extent.batch_limit,
            offline_in=folder / "loggers",
        )

    def _run_procedure(self, config: dict[str, object]) -> DryRun:
        budget, seed = self.at.settings.budget, self.at.settings.seed
        try:
            seconds = try_rung(config, self.at.point, seed=seed, n_rungs=budget.rungs, interrupted=self.time_up)
        except Interrupted:
            return DryRun(self.at.point, None, is_whole=False)
        except BadInput as error:
            return DryRun(self.at.point, error.problems[0])
        return DryRun(self.at.point, None, seconds)

    def _with_loggers_blamed(self, failed: DryRun) -> DryRun:
        """Return `failed` as a problem of the loggers, where the point works without them."""
        assert failed.problem is not None
        found = replace(self, with_loggers=False)._train()
        if found.problem is not None or not found.is_whole:
            return failed
        remedy = "correct the logger, or remove it"
        return replace(failed, problem=Problem("loggers", failed.problem.complaint.replace("fails", "fail", 1), remedy))

    def _train(self) -> DryRun:
        """Train. Return a failure as a problem of the config."""
        point, settings = self.at.point, self.at.settings
        is_by_hand = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else Ctrl-C raises no exception
        try:
            return self._fit()
        except Interrupted:
            return DryRun(point, None, is_whole=False)
        except BaseException as error:  # any exception of a user's module is a finding
            if isinstance(error, TimeIsUp) or (is_by_hand and is_ctrl_c(error)):
                raise
            problem = diagnosis.of_known(error, metric=settings.objective.metric, unit=settings.budget.unit)
            if problem is not None:
                return DryRun(point, problem)
            log.info("one batch at %s failed", point, exc_info=True)
            problem = diagnosis.of_error(error, point, self.at.resolved(self.half))
            return DryRun(point, problem, failure=classify_own(error)[0])

    def _fit(self) -> DryRun:
        """Train a few batches and return the findings."""
        begun = time.perf_counter()
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning warns of short runs
            job = self.job(Path(folder))
            run = job.build(Watchers(interrupted=self.time_up))
            tests = self.at.settings.objective.test
            if tests and not has_test_set(run.module, run.datamodule):
                return DryRun(self.at.point, NO_TEST_SET)
            stopwatch = run.package.callback(Stopwatch)(begun)
            run.trainer.callbacks.append(stopwatch)
            training = run.fit()
            problem = diagnosis.of_training(run, training, self.at.point, job.config)
            if problem is not None:
                return DryRun(self.at.point, problem)
            if tests and self.extent.tests:
                problem = _of_failing_test(run, job)
            return DryRun(
                self.at.point,
                problem,
                self._seconds(run, stopwatch) if self.extent.is_timed else None,
                notes=tuple(_notes(run, self.at.settings.budget.unit)),
                trajectory=training.trajectory,
                diverged=training.diverged and f"{training.diverged}{diagnosis.where(self.at.point)}",
            )

    def _seconds(self, run: Run, stopwatch: Stopwatch) -> float | None:
        """Return the seconds of a whole trial, None if they are unknown."""
        settings = self.at.settings
        budget, at_most = settings.budget, settings.max_trial_s
        seconds: float | None = float(budget.amount)
        if budget.unit != "seconds":
            seconds = whole_training_s(run, budget, stopwatch.times, n_devices=settings.devices_per_trial)
        return seconds if seconds is None or at_most is None else min(seconds, at_most)


def _notes(run: Run, unit: str) -> Iterator[str]:
    """Tell of an epoch that may have no end, and of the module's loaders if the data module's are used."""
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


def _of_failing_test(run: Run, job: Job) -> Problem | None:
    try:
        evaluate_test_set(run.module, run.datamodule, config=job.config)
    except Exception as error:  # any exception of a user's module is a finding
        log.info("the test failed", exc_info=True)
        complaint = f"fails on its test set ({classify(error)[1]}), and objective.test is true"
        return Problem("model", complaint, "correct its test_step or test_dataloader, or set objective.test to false")
    return None
