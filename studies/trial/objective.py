"""One trial: its point, the config with the point in it, the training, and what the outcome means to the study."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.schema import Failure
from studies.settings import ObjectiveSettings, StudySettings
from studies.space import Point
from studies.trial.attempt import Attempt
from studies.trial.callbacks import Rung
from studies.trial.failures import classify, free_memory, is_lost_device
from studies.trial.files import trial_folder
from studies.trial.outcome import Outcome
from studies.trial.training import Run, Training, Watchers, build, tell_nobody

log = logging.getLogger(__name__)


def run_trial(
    trial: BaseTrial,
    settings: StudySettings,
    *,
    seed: int,
    interrupted: Callable[[], str | None],
    repeated: FrozenTrial | None = None,
) -> Outcome:
    """Train the point of `trial` under `seed`; see `studies.trial.outcome.RunTrial`."""
    attempt = Attempt(trial, settings, repeated)
    try:
        config = resolve(settings, settings.space.suggest(trial))
        run, training = _train(trial, settings, config, attempt, seed=seed, interrupted=interrupted)
        outcome = judge(training, settings.objective)
        if outcome.value is not None and attempt.is_among_the_best(outcome.value):
            run.save_result()
    except (StorageInternalError, UpdateFinishedTrialError):
        raise
    except TrialPruned:  # by the module itself
        outcome = Outcome(TrialState.PRUNED)
    except BaseException as error:  # noqa: BLE001 - any failure of a user's module is data, and the study goes on
        outcome = _failed(trial, error, interrupted())
    return replace(outcome, has_checkpoint=attempt.has_checkpoint)


def _train(
    trial: BaseTrial,
    settings: StudySettings,
    config: Mapping[str, Any],
    attempt: Attempt,
    *,
    seed: int,
    interrupted: Callable[[], str | None],
) -> tuple[Run, Training]:
    """Train from the checkpoint that there is, else from the beginning; also where the checkpoint does not fit."""

    def built(resumed: Callable[[tuple[Rung, ...]], None]) -> Run:
        return build(
            config,
            metric=settings.objective.metric,
            budget=settings.budget,
            seed=seed,
            folder=trial_folder(settings.output_dir, trial.number),
            watchers=Watchers(
                report=lambda rung: _report(trial, rung, last=settings.budget.rungs),
                interrupted=interrupted,
                saved=attempt.saved,
                resumed=resumed,
            ),
            keeping=attempt.keeping,
            max_trial_s=settings.max_trial_s,
        )

    start = attempt.start()
    if start is not None:
        run = built(lambda rungs: attempt.resumed(start, rungs))
        try:
            return run, run.fit(start.saved.path)
        except Exception as error:
            if run.rungs.has_trained or isinstance(error, StorageInternalError | UpdateFinishedTrialError):
                raise
            log.warning("trial %d: the checkpoint cannot be used\n%s", trial.number, traceback.format_exc())
            attempt.restart(f"does not fit ({classify(error)[1]})")
        del run
        free_memory()
    run = built(tell_nobody)
    return run, run.fit()


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


def _report(trial: BaseTrial, rung: Rung, *, last: int) -> bool:
    """Whether to stop. After the last rung there is nothing left to save: the trial is complete."""
    trial.report(rung.value, rung.index)
    return rung.index < last and trial.should_prune()
