"""One trial: its point, the config with the point in it, the training, and what the outcome means to the study."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.config.settings import ObjectiveSettings, StudySettings
from studies.records.objectives import convergence
from studies.schema import Failure
from studies.text.printable import brief
from studies.trial.attempt import Attempt
from studies.trial.callbacks import Interrupted, Rung
from studies.trial.failures import classify, classify_own, free_memory, is_lost_device, traced
from studies.trial.files import own_checkpoints, refuse_links, trial_folder
from studies.trial.half_batch import HalfBatch
from studies.trial.imported import import_targets
from studies.trial.job import Job, quieten_lightning
from studies.trial.machine import processor
from studies.trial.memory import set_imports_aside
from studies.trial.orphan import is_orphan
from studies.trial.outcome import Outcome
from studies.trial.point_config import linked
from studies.trial.point_config import resolve as resolve  # its old place
from studies.trial.procedure import is_procedure
from studies.trial.procedure_run import Ran, run_procedure
from studies.trial.process_state import ChangedState, ProcessState, kept
from studies.trial.reports import reports_of
from studies.trial.second_go import train_within_memory
from studies.trial.tracked import tracked_trial
from studies.trial.training import Training, Watchers

log = logging.getLogger(__name__)


def run_trial(
    trial: BaseTrial,
    settings: StudySettings,
    *,
    seed: int,
    interrupted: Callable[[], str | None],
    repeated: FrozenTrial | None = None,
) -> Outcome:
    """Train the point of `trial` under `seed`; see `studies.trial.outcome.RunTrial`.

    What the trial has set for the whole process is put back. Where that cannot be done, the outcome says so.
    """
    own_process = os.getpid()

    def asked_to_stop() -> str | None:
        _end_copy_of(own_process)
        return interrupted()

    settings = replace(settings, output_dir=settings.output_dir.absolute())  # a trial may change the working folder
    set_imports_aside()
    quieten_lightning()  # as each training does: its filters are none of the trial's
    with kept(import_targets(settings)) as state:
        attempt = Attempt(trial, settings, repeated)
        outcome = _run(trial, settings, attempt, state, seed=seed, interrupted=asked_to_stop, repeated=repeated)
        _end_copy_of(own_process)
        gc.collect()  # not before: an exception that is being handled holds the frames, and those the module
        if outcome.attributes.get(schema.FAILURE) is Failure.OUT_OF_MEMORY:
            free_memory()
    has_own = own_checkpoints(trial_folder(settings.output_dir, trial.number)).is_dir()
    return replace(_with_left(outcome, trial, state.left), has_checkpoint=attempt.has_checkpoint or has_own)


def _end_copy_of(process: int) -> None:
    """End this process if it is a copy that a module has forked and let go on: it would train and report once more."""
    if os.getpid() != process:
        os._exit(1)


def _with_left(outcome: Outcome, trial: BaseTrial, left: ChangedState) -> Outcome:
    """Tell what the trial has left changed in this process."""
    if left.put_back:
        log.info("trial %d left changed, and it is put back: %s", trial.number, ", ".join(left.put_back))
    if not left.stuck:
        return outcome
    names = brief(", ".join(left.stuck))
    log.warning("trial %d left changed what cannot be put back for sure: %s", trial.number, names)
    return replace(outcome, attributes={**outcome.attributes, schema.LEFT_CHANGED: names}, taints=True)


def _run(
    trial: BaseTrial,
    settings: StudySettings,
    attempt: Attempt,
    state: ProcessState,
    *,
    seed: int,
    interrupted: Callable[[], str | None],
    repeated: FrozenTrial | None,
) -> Outcome:
    reports = reports_of(trial, settings)

    def resumed(rungs: tuple[Rung, ...]) -> None:
        attempt.resumed()
        reports.repeat(rungs)

    def keeps(training: Training) -> bool:
        value = judge(training, settings.objective).value
        return value is not None and attempt.is_among_the_best(value)

    watchers = Watchers(report=reports, interrupted=interrupted, saved=attempt.saved, resumed=resumed, keeps=keeps)
    try:
        refuse_links(trial_folder(settings.output_dir, trial.number), output_dir=settings.output_dir)
        point = settings.space.suggest(trial)
        config = resolve(settings, point, seed=seed)
        if is_procedure(config):
            ran = run_procedure(
                config,
                seed=seed,
                n_rungs=settings.budget.rungs,
                max_s=settings.max_trial_s,
                report=reports,
                interrupted=interrupted,
            )
            return judge_procedure(ran, settings.objective)

        def job_of(half: HalfBatch | None) -> Job:
            return Job(
                config if half is None else resolve(settings, point, half=half, seed=seed),
                metric=settings.objective.metric,
                second=settings.objective.logged_second,
                budget=settings.budget,
                seed=seed,
                folder=trial_folder(settings.output_dir, trial.number),
                max_trial_s=settings.max_trial_s,
                keeping=attempt.keeping,
                checkpoint=attempt.start(half),
                test=settings.objective.test,
                linked=linked(settings, point, half=half, seed=seed),
                tracked=tracked_trial(
                    settings,
                    trial.number,
                    point,
                    seed=seed,
                    half=half,
                    retry_of=repeated.number if repeated is not None else None,
                    prunes=(TrialPruned,),
                ),
            )

        return judge(_train(trial, job_of, settings, watchers, attempt, repeated), settings.objective)
    except (StorageInternalError, UpdateFinishedTrialError):
        raise
    except TrialPruned:  # by the module itself
        return Outcome(TrialState.PRUNED)
    except BaseException as error:
        state.put_back()  # loggers and streams too, which are told of it
        if is_orphan(trial):
            raise
        return _failed(trial, error, interrupted())


def _train(
    trial: BaseTrial,
    job_of: Callable[[HalfBatch | None], Job],
    settings: StudySettings,
    watchers: Watchers,
    attempt: Attempt,
    repeated: FrozenTrial | None,
) -> Training:
    """Train on from the checkpoint that there is, else from the beginning; at half the batch where memory is short and
    the settings allow it."""

    def train(job: Job) -> Training:
        try:
            return _fit(job, settings, watchers)
        except Exception as error:
            failure, reason = classify(error)
            fits = job.checkpoint is None or attempt.has_resumed or failure is not Failure.ERROR
            if fits or isinstance(error, StorageInternalError | UpdateFinishedTrialError | TrialPruned):
                raise
            log.warning("trial %d: the checkpoint cannot be used\n%s", trial.number, traced(error))
        free_memory()
        attempt.restart(f"does not fit ({reason})")
        return _fit(replace(job, checkpoint=None), settings, watchers)

    def tell(half: HalfBatch, message: str) -> None:
        trial.set_user_attr(schema.BATCH_HALVED, asdict(half))
        log.warning("trial %d: %s; once more at half the batch: %s", trial.number, message, half)

    def tell_again(half: HalfBatch, message: str) -> None:
        attempt.drop()  # before the halved batch is on record: who repeats this trial takes its checkpoint for that
        tell(half, message)

    known = repeated.user_attrs.get(schema.BATCH_HALVED) if repeated is not None else None
    if known and settings.out_of_memory.retry == "halve_batch":
        tell(half := HalfBatch(**known), "it repeats a trial that ran out of memory at the full batch")
        return train(job_of(half))
    return train_within_memory(job_of, train, settings=settings.out_of_memory, tell=tell_again)


def _fit(job: Job, settings: StudySettings, watchers: Watchers) -> Training:
    """Train here, or in one process a device."""
    if settings.devices_per_trial == 1:
        return job.build(watchers).fit(job.checkpoint)
    from studies.trial.ranks.crew import train_in_ranks

    return train_in_ranks(job, n_ranks=settings.devices_per_trial, watchers=watchers)


def _failed(trial: BaseTrial, error: BaseException, signal: str | None) -> Outcome:
    failure, message = classify_own(error) if signal is None else classify(error, signal)
    where = "" if isinstance(error, Interrupted) else f"\n{traced(error)}"
    log.warning("trial %d: %s%s", trial.number, message, where)
    state = TrialState.PRUNED if failure in schema.OF_THE_POINT else TrialState.FAIL
    attributes = {schema.FAILURE: failure, schema.FAILURE_MESSAGE: message}
    return Outcome(state, attributes=attributes, device_is_lost=is_lost_device(error))


def judge(training: Training, objective: ObjectiveSettings) -> Outcome:
    """What a training that ended by itself means: diverged, pruned, or complete with a value."""
    attributes: dict[str, Any] = {
        schema.STEPS: training.steps,
        schema.SECONDS: round(training.seconds, 4),
        schema.SAMPLES_SEEN: _all_known([rung.samples_seen for rung in training.rungs]),
        schema.RUNG_SECONDS: [round(rung.seconds, 4) for rung in training.rungs],
        schema.DEVICE: training.device,
        schema.PROCESSOR: processor(),
        schema.THREADS: training.threads,
        schema.N_PARAMETERS: training.n_parameters,
    }
    if training.peak_memory_mb is not None:
        attributes[schema.PEAK_MEMORY_MB] = round(training.peak_memory_mb, 1)
    else:
        log.info("its peak memory is unknown: the process had more before, and this system cannot begin a new peak")
    if training.linked:
        attributes[schema.LINKED] = dict(training.linked)
    if training.logger_failures:
        attributes[schema.LOGGER_FAILURES] = dict(training.logger_failures)
    if training.trajectory:
        attributes[schema.TRAJECTORY] = training.trajectory
    if training.found:
        attributes[schema.FOUND] = dict(training.found)
    if training.note is not None:
        attributes[schema.WEIGHTS_DIFFER] = training.note
    if training.test.metrics:
        counted = {} if training.test.n is None else {"n": training.test.n}
        attributes[schema.TEST] = {**training.test.metrics, **counted}
    return _ended(training, attributes, objective)


def _all_known(numbers: list[int | None]) -> list[int]:
    """Return the numbers; none where one of them is not known, as the others would stand at the wrong rungs."""
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else []


def judge_procedure(ran: Ran, objective: ObjectiveSettings) -> Outcome:
    """What a procedure that ended by itself means, by the same rules."""
    attributes: dict[str, Any] = {
        schema.SECONDS: round(ran.seconds, 4),
        schema.RUNG_SECONDS: [round(rung.seconds, 4) for rung in ran.rungs],
        schema.RESULT: ran.result,
        schema.PROCESSOR: processor(),
    }
    return _ended(ran, attributes, objective)


def _ended(done: Training | Ran, attributes: dict[str, Any], objective: ObjectiveSettings) -> Outcome:
    if done.diverged:
        attributes |= {schema.FAILURE: Failure.DIVERGED, schema.FAILURE_MESSAGE: done.diverged}
        return Outcome(TrialState.PRUNED, attributes=attributes)
    if done.rungs:
        attributes[schema.CONVERGENCE] = convergence(
            {rung.index: rung.value for rung in done.rungs}, tolerance=objective.tolerance
        )
    if done.out_of_time:
        attributes[schema.FAILURE_MESSAGE] = f"max_trial_s reached after {len(done.rungs)} rungs"
    if done.stopped:
        return Outcome(TrialState.PRUNED, attributes=attributes)
    if not done.rungs:
        message = "the training ended before its first rung; see what stops it (callbacks, limit_train_batches)"
        if isinstance(done, Training) and done.fell_short:
            message = f"{done.fell_short}, so that no validation followed"
        if isinstance(done, Ran):
            message = "the procedure returned before it reported a rung"
        attributes |= {schema.FAILURE: Failure.ERROR, schema.FAILURE_MESSAGE: message}
        return Outcome(TrialState.FAIL, attributes=attributes)
    sign = 1 if objective.direction == "maximize" else -1
    best = max(done.rungs, key=lambda rung: sign * rung.value)
    rung = best if objective.value == "best" else done.rungs[-1]
    second = None
    if objective.second is not None:
        if not objective.second.is_logged and objective.second.metric not in attributes:
            attributes |= {schema.FAILURE: Failure.ERROR, schema.FAILURE_MESSAGE: _unknown(objective.second.metric)}
            return Outcome(TrialState.FAIL, attributes=attributes)
        second = rung.second if objective.second.is_logged else float(attributes[objective.second.metric])
    return Outcome(TrialState.COMPLETE, rung.value, attributes, second=second)


def _unknown(metric: str) -> str:
    return f"{metric} of this trial is unknown: train on a GPU or under Linux, or name another second objective"
