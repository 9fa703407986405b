"""The objective: one trial, from its point to its outcome.

`run_trial` guards the process around a trial. `Attempt` is the trial: it suggests the point, trains it, and judges.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, Trial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.schema import Failure
from studies.text.printable import brief
from studies.trial.checkpoints.files import own_checkpoints, refuse_symlinks, trial_folder
from studies.trial.checkpoints.record import CheckpointRecord, is_among_the_best
from studies.trial.checkpoints.saver import SavingRule
from studies.trial.failures import classify, traced
from studies.trial.half_batch import HalfBatch
from studies.trial.job import Job, quieten_lightning
from studies.trial.judge import judge, judge_failure, judge_procedure
from studies.trial.loggers.tracked_run import TrackedRun, known_of_run
from studies.trial.memory import free_memory, set_imports_aside, train_within_memory
from studies.trial.outcome import Outcome
from studies.trial.point_config import PointConfig
from studies.trial.procedures.procedure import is_procedure
from studies.trial.procedures.running import ProcedureResult, run_procedure
from studies.trial.process_state.state import ChangedState, ProcessState, import_targets, kept
from studies.trial.ranks.processes import train_in_ranks
from studies.trial.reports import reports_of
from studies.trial.rungs.rungs import Rung
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
    """Train the point of `trial` under `seed`. See `studies.trial.outcome.RunTrial`.

    Puts back what the trial has set for the whole process. The outcome says if that was not possible.
    """
    own_process = os.getpid()

    def asked_to_stop() -> str | None:
        _end_copy_of(own_process)
        return interrupted()

    settings = replace(settings, output_dir=settings.output_dir.absolute())  # a trial may change the working folder
    set_imports_aside()
    quieten_lightning()  # before the state is read: its filters of warnings are not the trial's
    with kept(import_targets(settings.template, settings.space)) as state:
        attempt = Attempt(trial, settings, seed=seed, interrupted=asked_to_stop, repeated=repeated)
        outcome = attempt.run(state)
        _end_copy_of(own_process)
        gc.collect()  # not inside the handler: the exception keeps the module alive
        if outcome.attributes.get(schema.FAILURE) is Failure.OUT_OF_MEMORY:
            free_memory()
    return replace(_with_left(outcome, trial, state.left), has_checkpoint=attempt.has_checkpoint)


class Attempt:
    """One attempt at a trial: what its steps share, and the steps. `repeated` is the trial that it tries again."""

    def __init__(
        self,
        trial: BaseTrial,
        settings: StudySettings,
        *,
        seed: int,
        interrupted: Callable[[], str | None],
        repeated: FrozenTrial | None,
    ) -> None:
        self._trial = trial
        self._settings = settings
        self._seed = seed
        self._interrupted = interrupted
        self._repeated = repeated
        self._at = PointConfig(settings, {}, seed)
        self._folder = trial_folder(settings.output_dir, trial.number)
        self._reports = reports_of(trial, settings.objective, n_rungs=settings.budget.rungs)
        self._checkpoints = CheckpointRecord(
            trial, repeated, output_dir=settings.output_dir, study_name=settings.study_name
        )

    @property
    def has_checkpoint(self) -> bool:
        """Return whether this trial, the one it repeats, or a checkpoint callback has saved a state."""
        return self._checkpoints.has_any or own_checkpoints(self._folder).is_dir()

    def run(self, state: ProcessState) -> Outcome:
        """Suggest the point, train it, and judge. Errors of the storage come through, others become the outcome."""
        try:
            refuse_symlinks(self._folder, output_dir=self._settings.output_dir)
            self._at = replace(self._at, point=self._settings.space.suggest(self._trial))
            config = self._at.resolved()
            if is_procedure(config):
                return judge_procedure(self._run_procedure(config), self._settings.objective)
            return judge(self._train(config), self._settings.objective)
        except (StorageInternalError, UpdateFinishedTrialError):
            raise
        except TrialPruned:  # by the module itself
            return Outcome(TrialState.PRUNED)
        except BaseException as error:
            state.put_back()  # the failure is written to loggers and streams
            if _study_is_deleted(self._trial):
                raise
            return judge_failure(error, self._interrupted(), number=self._trial.number)

    def _run_procedure(self, config: dict[str, Any]) -> ProcedureResult:
        return run_procedure(
            config,
            seed=self._seed,
            n_rungs=self._settings.budget.rungs,
            max_s=self._settings.max_trial_s,
            report=self._reports,
            interrupted=self._interrupted,
        )

    def _train(self, config: dict[str, Any]) -> Training:
        """Train at the full batch, or at half of it where memory is short and the settings allow it."""
        rule = self._settings.out_of_memory
        known = self._repeated.user_attrs.get(schema.BATCH_HALVED) if self._repeated is not None else None
        if known and rule.retry == "halve_batch":
            half = HalfBatch(**known)
            self._begin_half(half, "it repeats a trial that ran out of memory at the full batch")
            return self._train_at(half)
        return train_within_memory(config, self._train_at, rule=rule, halves=self._begin_half)

    def _begin_half(self, half: HalfBatch, message: str) -> None:
        self._checkpoints.drop()  # before the half is recorded: a retry takes the checkpoint to be of the recorded size
        self._trial.set_user_attr(schema.BATCH_HALVED, asdict(half))
        log.warning("trial %d: %s; it trains again at half the batch: %s", self._trial.number, message, half)

    def _train_at(self, half: HalfBatch | None) -> Training:
        """Train from the checkpoint if there is one that fits, else from the beginning."""
        job = self._job(half)
        try:
            return self._fit(job)
        except Exception as error:
            failure, reason = classify(error)
            is_blamed = job.checkpoint is not None and not self._checkpoints.has_resumed and failure is Failure.ERROR
            if not is_blamed or isinstance(error, StorageInternalError | UpdateFinishedTrialError | TrialPruned):
                raise
            log.warning("trial %d: the checkpoint cannot be used\n%s", self._trial.number, traced(error))
        free_memory()
        self._checkpoints.restart(f"does not fit ({reason})")
        return self._fit(replace(job, checkpoint=None))

    def _job(self, half: HalfBatch | None) -> Job:
        settings = self._settings
        return replace(
            self._at.job(self._folder, half),
            max_trial_s=settings.max_trial_s,
            saving=SavingRule(self._folder, settings.study_name, settings.checkpoint.every_s),
            checkpoint=self._checkpoints.start(half),
            test=settings.objective.test,
            tracked=self._tracked(half),
            prunes=(TrialPruned,),
        )

    def _tracked(self, half: HalfBatch | None) -> TrackedRun:
        """Return how loggers show this training. A parameter of the space wins over another entry of its name."""
        study, number, objective = self._settings.study_name, self._trial.number, self._settings.objective
        known = known_of_run(study, number, self._seed, self._settings.budget)
        if self._repeated is not None:
            known[schema.RETRY_OF] = self._repeated.number
        if half is not None:
            known[schema.BATCH_HALVED] = half.batch_size
        return TrackedRun(
            study,
            f"trial-{number}" + ("-half-batch" if half is not None else ""),
            hyperparameters={**known, **self._at.point},
            counts=objective.value,
            maximize=objective.maximize,
        )

    def _fit(self, job: Job) -> Training:
        """Train here, or in one process a device."""
        watchers = Watchers(
            report=self._reports,
            interrupted=self._interrupted,
            saved=self._checkpoints.saved,
            resumed=self._resumed,
            keeps=self._keeps,
        )
        n_devices = self._settings.devices_per_trial
        if n_devices == 1:
            return job.build(watchers).fit(job.checkpoint)
        return train_in_ranks(job, n_ranks=n_devices, watchers=watchers)

    def _resumed(self, rungs: tuple[Rung, ...]) -> None:
        self._checkpoints.resumed()
        self._reports.repeat(rungs)

    def _keeps(self, training: Training) -> bool:
        """Return whether the state at the end of `training` is kept: that of one of the best trials."""
        value = judge(training, self._settings.objective).value
        k = self._settings.checkpoint.keep_best
        return value is not None and is_among_the_best(self._trial, value, k=k, objective=self._settings.objective)


def _end_copy_of(process: int) -> None:
    """End this process if it is a copy that a module has forked: it would train and report a second time."""
    if os.getpid() != process:
        os._exit(1)


def _study_is_deleted(trial: BaseTrial) -> bool:
    """Return whether the study of `trial` is gone from its storage. Every report then raises a KeyError."""
    if not isinstance(trial, Trial):
        return False
    try:
        trial.study.user_attrs  # noqa: B018 - read for its failure
    except Exception as error:  # noqa: BLE001 - by any other the storage fails, and the first error says so
        return isinstance(error, KeyError)
    return False


def _with_left(outcome: Outcome, trial: BaseTrial, left: ChangedState) -> Outcome:
    """Add to `outcome` what the trial has left changed in this process."""
    if left.put_back:
        log.info(
            "trial %d changed settings of the process, which are restored: %s", trial.number, ", ".join(left.put_back)
        )
    if not left.stuck:
        return outcome
    names = brief(", ".join(left.stuck))
    log.warning("trial %d changed settings of the process, which may not be restored: %s", trial.number, names)
    return replace(outcome, attributes={**outcome.attributes, schema.LEFT_CHANGED: names}, taints=True)
