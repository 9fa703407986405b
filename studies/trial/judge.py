"""Turns the result of a training or a procedure into the outcome of its trial: diverged, pruned, or complete."""

from __future__ import annotations

import logging
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from studies import schema
from studies.config.settings import ObjectiveSettings
from studies.records.objectives import convergence
from studies.schema import Failure
from studies.trial.failures import classify, classify_own, is_lost_device, traced
from studies.trial.outcome import Outcome
from studies.trial.procedures.running import ProcedureResult
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Training, counting_rung

log = logging.getLogger(__name__)
EARLY = "the training ended before its first rung; see what stops it (callbacks, limit_train_batches)"
SILENT = "the procedure returned before it reported a rung"


def judge(training: Training, objective: ObjectiveSettings) -> Outcome:
    """Return the outcome of a training that ended by itself."""
    attributes: dict[str, Any] = {
        schema.STEPS: training.steps,
        schema.SECONDS: round(training.seconds, 4),
        schema.SAMPLES_SEEN: _all_known([rung.samples_seen for rung in training.rungs]),
        schema.RUNG_SECONDS: [round(rung.seconds, 4) for rung in training.rungs],
        schema.DEVICE: training.device,
        schema.PROCESSOR: _processor(),
        schema.THREADS: training.threads,
        schema.N_PARAMETERS: training.n_parameters,
    }
    if training.peak_memory_mb is not None:
        attributes[schema.PEAK_MEMORY_MB] = round(training.peak_memory_mb, 1)
    else:
        log.info("its peak memory is unknown: the process had more before, and this system cannot begin a new peak")
    counted = {} if training.test.n is None else {"n": training.test.n}
    where_known = {
        schema.LINKED: dict(training.linked),
        schema.LOGGER_FAILURES: dict(training.logger_failures),
        schema.TRAJECTORY: training.trajectory,
        schema.FOUND: dict(training.found),
        schema.WEIGHTS_DIFFER: training.note,
        schema.TEST: {**training.test.metrics, **counted} if training.test.metrics else None,
    }
    attributes |= {name: value for name, value in where_known.items() if value}
    without_rungs = EARLY if not training.fell_short else f"{training.fell_short}, so that no validation followed"
    return _ended(training, attributes, objective, without_rungs=without_rungs)


def judge_procedure(ran: ProcedureResult, objective: ObjectiveSettings) -> Outcome:
    """Return the outcome of a procedure that ended by itself, by the same rules."""
    attributes: dict[str, Any] = {
        schema.SECONDS: round(ran.seconds, 4),
        schema.RUNG_SECONDS: [round(rung.seconds, 4) for rung in ran.rungs],
        schema.RESULT: ran.result,
        schema.PROCESSOR: _processor(),
    }
    return _ended(ran, attributes, objective, without_rungs=SILENT)


def judge_failure(error: BaseException, signal: str | None, *, number: int) -> Outcome:
    """Return the outcome of the failed trial `number`. `signal` names what stopped it, if anything did."""
    failure, message = classify_own(error) if signal is None else classify(error, signal)
    where = "" if isinstance(error, Interrupted) else f"\n{traced(error)}"
    log.warning("trial %d: %s%s", number, message, where)
    state = TrialState.PRUNED if failure in schema.OF_THE_POINT else TrialState.FAIL
    return _failed(failure, message, {}, state=state, device_is_lost=is_lost_device(error))


def _ended(
    done: Training | ProcedureResult, attributes: dict[str, Any], objective: ObjectiveSettings, *, without_rungs: str
) -> Outcome:
    if done.diverged:
        return _failed(Failure.DIVERGED, done.diverged, attributes, state=TrialState.PRUNED)
    if done.rungs:
        values = {rung.index: rung.value for rung in done.rungs}
        attributes[schema.CONVERGENCE] = convergence(values, tolerance=objective.small)
    if done.out_of_time:
        attributes[schema.FAILURE_MESSAGE] = f"max_trial_s reached after {len(done.rungs)} rungs"
    if done.stopped:
        return Outcome(TrialState.PRUNED, attributes=attributes)
    if not done.rungs:
        return _failed(Failure.ERROR, without_rungs, attributes)
    rung = counting_rung(done.rungs, counts=objective.value, maximize=objective.maximize)
    return _complete(rung, attributes, objective)


def _complete(rung: Rung, attributes: dict[str, Any], objective: ObjectiveSettings) -> Outcome:
    """Return the outcome with the value at `rung`. It is a failure where the second objective is unknown."""
    second = rung.second
    if objective.second is not None and not objective.second.is_logged:
        metric = objective.second.metric
        if metric not in attributes:
            message = f"{metric} of this trial is unknown: train on a GPU or under Linux, or name another second "
            return _failed(Failure.ERROR, f"{message}objective", attributes)
        second = float(attributes[metric])
    return Outcome(TrialState.COMPLETE, rung.value, attributes, second=second)


def _failed(
    failure: Failure,
    message: str,
    attributes: dict[str, Any],
    *,
    state: TrialState = TrialState.FAIL,
    device_is_lost: bool = False,
) -> Outcome:
    known = {**attributes, schema.FAILURE: failure, schema.FAILURE_MESSAGE: message}
    return Outcome(state, attributes=known, device_is_lost=device_is_lost)


def _all_known(numbers: list[int | None]) -> list[int]:
    """Return the numbers, or none if one of them is unknown: the others would stand at the wrong rungs."""
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else []


@cache
def _processor() -> str:
    """Return the number of cores and the processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    known = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of {next(known, platform.machine())}"
