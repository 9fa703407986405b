"""Turns a failed try into a problem of the config: key, complaint and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.config.resolvers import texts
from studies.config.settings import TRAINING_LOSS, TRAINING_METRICS
from studies.config.space import Point
from studies.errors import BadInput, Problem, nearest
from studies.trial.building.mixing import PackagesMixed
from studies.trial.failures import classify_own
from studies.trial.run import Run
from studies.trial.rungs.batch_limit import MonitoredMetric, Observed
from studies.trial.rungs.real_number import NotReal
from studies.trial.rungs.rungs import MetricMissing
from studies.trial.rungs.samples import SamplesUnknown
from studies.trial.training import Training

OF_CALLBACKS = {  # Lightning's message: the remedy
    "Early stopping conditioned on metric": "name a metric that is logged before it is read, or give it strict: false",
    "could not find the monitored key": "have ModelCheckpoint monitor a metric that is logged",
    "that has no logger": "add a logger (+loggers=csv), or remove the callback",
}
LIMIT = re.compile(r"limit_(?:train|val)_batches")
ALL_OF_THEM = "give a number of batches of at least 1, or a larger share (1.0 is all of them)"


def in_words(point: Point) -> str:
    """Return a point's values in one line."""
    return ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}" for n, v in point.items())


def where(point: Point) -> str:
    """Return the words for a point, empty for that of an empty space."""
    return f" at {in_words(point)}" if point else ""


def of_error(error: BaseException, point: Point, config: Mapping[str, Any]) -> Problem:
    """Return the problem behind an exception in building a training or in its first batches."""
    message = classify_own(error)[1]
    limit = LIMIT.search(message)
    trainer = config.get("trainer") or {}
    if limit is not None and limit[0] in trainer:
        complaint = f"is {trainer[limit[0]]}, which leaves no batch{where(point)} ({message})"
        return Problem(f"trainer.{limit[0]}", complaint, ALL_OF_THEM)
    path = _of_path(error, config)
    if path is not None:
        return path
    what = f"in one batch{where(point)} ({message})"
    for text, remedy in OF_CALLBACKS.items():
        if text in message and config.get("callbacks"):
            return Problem("callbacks", f"fail {what}", remedy)
    remedy = "correct the module or the space"
    if "ReduceLROnPlateau conditioned on metric" in message:
        remedy = "have the scheduler monitor a metric that is logged before it steps, or give it strict: False"
    return Problem("model", f"fails {what}", remedy)


def _of_path(error: BaseException, config: Mapping[str, Any]) -> Problem | None:
    """Return the problem of an unusable file or folder, where the config names it or a folder above it."""
    if not isinstance(error, OSError) or not isinstance(error.filename, str):
        return None
    failed = Path(error.filename).absolute()
    named = [(key, text) for key, text in texts(config) if text.strip() and "\0" not in text and "\n" not in text]
    above = [(key, text) for key, text in named if failed.is_relative_to(Path(text).absolute())]
    if not above:
        return None
    key, text = max(above, key=lambda entry: len(Path(entry[1]).absolute().parts))
    below = "" if failed == Path(text).absolute() else f" at {failed}"
    complaint = f"is {text}, which cannot be used{below} ({error.strerror or type(error).__name__})"
    return Problem(key, complaint, "name an existing file or folder with the right permissions, or correct its module")


def of_known(error: BaseException, *, metric: str, unit: str) -> Problem | None:
    """Return the problem behind an exception of our own. None for any other, which `of_error` explains.

    `metric` is the study's, `unit` that of its budget.
    """
    match error:
        case MetricMissing():
            return _of_missing(error, metric, unit)
        case NotReal():
            key = "objective.metric" if error.name == metric else "objective.second.metric"
            remedy = "log one real number, such as the real part or the absolute value of a complex one"
            return Problem(key, f"is {error.name}, which the module logs as {error.what}", remedy)
        case PackagesMixed():
            remedy = "take every piece from one of the two packages"
            return Problem("model", f"cannot be trained with {error}", remedy)
        case SamplesUnknown():
            return error.problem
        case BadInput():  # of loggers and links
            return error.problems[0]
    return None


def _of_missing(error: MetricMissing, metric: str, unit: str) -> Problem:
    remedy = "log it in validation_step (or in training_step), or"
    complaint = f"is {error.missing}, but {error}"
    if error.missing == metric:
        other = "set objective.metric to one that is logged"
        if unit != "epochs":
            other += " (a metric of an epoch's end is not there at a rung before it: give budget.unit=epochs)"
        if not error.validates and error.missing != TRAINING_LOSS:
            other += f"; there is no validation: objective.metric={TRAINING_LOSS} with objective.direction=minimize "
            other += "takes the mean loss of the training itself, which says nothing about new data"
        return Problem("objective.metric", complaint, f"{remedy} {other}")
    known = [name for name in (*TRAINING_METRICS, *error.logged) if name != metric]
    return Problem("objective.second.metric", complaint, f"{nearest(error.missing, known)}; {remedy} name one of these")


def of_training(run: Run, training: Training, point: Point, config: Mapping[str, Any]) -> Problem | None:
    """Return the problem of a training that ended without an exception, if there is one."""
    if training.diverged is not None:
        return None
    if not training.rungs:
        return _of_no_rung(run, point, config)
    return _of_monitors(run)


def _of_no_rung(run: Run, point: Point, config: Mapping[str, Any]) -> Problem:
    """Return why a training ends before its first rung."""
    trainer = run.trainer
    validated = trainer.num_val_batches  # of each loader; none before the first validation
    for name, stage, n_batches in (
        ("limit_train_batches", "training", trainer.num_training_batches),
        ("limit_val_batches", "validation", sum(validated) if validated and trainer.enable_validation else 1),
    ):
        limit = (config.get("trainer") or {}).get(name)
        if n_batches and limit != 0:
            continue
        if limit in (None, 1.0):
            complaint = f"gives a {stage} loader without a batch{where(point)}, so a trial ends without a value"
            source = "datamodule" if config.get("datamodule") else "model"
            return Problem(source, complaint, "give it data, or a smaller batch where drop_last drops the only one")
        complaint = f"is {limit}, which leaves no {stage} batch{where(point)}, so a trial ends without a value"
        return Problem(f"trainer.{name}", complaint, ALL_OF_THEM)
    complaint = f"end the training{where(point)} before its first rung, so a trial ends without a value"
    stopping = "callbacks" if config.get("callbacks") else "model"
    verb = complaint if stopping == "callbacks" else complaint.replace("end", "ends", 1)
    return Problem(stopping, verb, "correct what sets trainer.should_stop, or skips the rest of an epoch")


def _of_monitors(run: Run) -> Problem | None:
    """Return the problem of a scheduler whose metric is not there when it steps, if there is one."""
    assert run.limiter is not None
    seen = run.limiter.seen
    for monitored in seen.monitored:
        name = monitored.metric
        if name not in seen.logged:
            complaint = f"has a ReduceLROnPlateau that monitors {name}, which the module never logs"
            return Problem("model", complaint, f"log it, or monitor another metric: {nearest(name, seen.logged)}")
        if monitored.interval == "step" and name not in seen.logged_by_step and _steps_too_early(monitored, seen):
            each = "batch" if monitored.frequency == 1 else f"{monitored.frequency} batches"
            complaint = (
                f"has a ReduceLROnPlateau that steps each {each} by {name}, which is first "
                f"logged after about {seen.first_validation:.0f} batches"
            )
            return Problem("model", complaint, "give the scheduler interval: epoch, or strict: False")
    return None


def _steps_too_early(monitored: MonitoredMetric, seen: Observed) -> bool:
    """Return whether a scheduler that counts batches of an epoch steps before the first validation."""
    at_most = min(seen.n_batches, seen.first_validation - 1)
    return monitored.frequency <= at_most
