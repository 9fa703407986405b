"""One trial: its point, the config with the point in it, the training, and what the outcome means to the study."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.schema import Failure
from studies.settings import ObjectiveSettings, StudySettings
from studies.space import Point
from studies.trial.callbacks import Rung
from studies.trial.failures import classify, free_memory, is_lost_device
from studies.trial.outcome import Outcome
from studies.trial.training import Training, Watchers, build

log = logging.getLogger(__name__)


def run_trial(
    trial: BaseTrial,
    settings: StudySettings,
    *,
    seed: int,
    interrupted: Callable[[], str | None],
    repeated: FrozenTrial | None = None,  # noqa: ARG001
) -> Outcome:
    """Train the point of `trial` under `seed`; see `studies.trial.outcome.RunTrial`."""
    watchers = Watchers(report=lambda rung: _report(trial, rung, last=settings.budget.rungs), interrupted=interrupted)
    try:
        run = build(
            resolve(settings, settings.space.suggest(trial)),
            metric=settings.objective.metric,
            budget=settings.budget,
            seed=seed,
            folder=trial_folder(settings.output_dir, trial.number),
            watchers=watchers,
            max_trial_s=settings.max_trial_s,
        )
        training = run.fit()
    except (StorageInternalError, UpdateFinishedTrialError):
        raise
    except TrialPruned:  # by the module itself
        return Outcome(TrialState.PRUNED)
    except BaseException as error:  # noqa: BLE001 - any failure of a user's module is data, and the study goes on
        return _failed(trial, error, interrupted())
    return judge(training, settings.objective)


def _failed(trial: BaseTrial, error: BaseException, signal: str | None) -> Outcome:
    failure, message = classify(error, signal)
    log.warning("trial %d: %s\n%s", trial.number, message, traceback.format_exc())
    if failure is Failure.OUT_OF_MEMORY:
        free_memory()
    state = TrialState.PRUNED if failure in schema.OF_THE_POINT else TrialState.FAIL
    attributes = {schema.FAILURE: failure, schema.FAILURE_MESSAGE: message}
    return Outcome(state, attributes=attributes, device_is_lost=is_lost_device(error))


def resolve(settings: StudySettings, point: Point) -> dict[str, Any]:
    """The config of one point, as plain values."""
    config = settings.space.apply(settings.template, point)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def judge(training: Training, objective: ObjectiveSettings) -> Outcome:
    """What a training that ended by itself means: diverged, pruned, or complete with a value."""
    attributes: dict[str, Any] = {
        schema.STEPS: training.steps,
        schema.SECONDS: round(training.seconds, 4),
        schema.SAMPLES_SEEN: [rung.samples_seen for rung in training.rungs],
        schema.DEVICE: training.device,
        schema.THREADS: training.threads,
        schema.PEAK_MEMORY_MB: round(training.peak_memory_mb, 1),
    }
    if training.diverged:
        attributes |= {schema.FAILURE: Failure.DIVERGED, schema.FAILURE_MESSAGE: training.diverged}
        return Outcome(TrialState.PRUNED, attributes=attributes)
    if training.rungs:
        attributes[schema.CONVERGENCE] = convergence(training.rungs, tolerance=objective.tolerance)
    if training.out_of_time:
        attributes[schema.FAILURE_MESSAGE] = f"max_trial_s reached after {len(training.rungs)} rungs"
    if training.stopped:
        return Outcome(TrialState.PRUNED, attributes=attributes)
    if not training.rungs:
        message = "the training ended before its first rung; see what stops it (callbacks, limit_train_batches)"
        attributes |= {schema.FAILURE: Failure.ERROR, schema.FAILURE_MESSAGE: message}
        return Outcome(TrialState.FAIL, attributes=attributes)
    values = [rung.value for rung in training.rungs]
    best = max(values) if objective.direction == "maximize" else min(values)
    return Outcome(TrialState.COMPLETE, best if objective.value == "best" else values[-1], attributes)


def convergence(rungs: tuple[Rung, ...], *, tolerance: float) -> int:
    """The first rung from which the metric stays within `tolerance` of its final value."""
    final = rungs[-1].value
    away = [rung.index for rung in rungs if abs(rung.value - final) > tolerance]
    return next(rung.index for rung in rungs if not away or rung.index > away[-1])


def trial_folder(output_dir: Path, number: int) -> Path:
    """Where a trial's own files lie, if it writes any."""
    return output_dir / "trials" / f"trial-{number}"


def _report(trial: BaseTrial, rung: Rung, *, last: int) -> bool:
    """Whether to stop. After the last rung there is nothing left to save: the trial is complete."""
    trial.report(rung.value, rung.index)
    return rung.index < last and trial.should_prune()
