"""One worker: it claims a trial, runs it and tells its result, until the budget is spent. It knows no launcher."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import StudyStopped
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.schema import Failure, failure_of, was_interrupted
from studies.search.pruners import make_pruner
from studies.search.samplers import StudySampler
from studies.search.seeds import replicate_of, training_seed
from studies.storage.checkpoints import checkpoints_of
from studies.storage.claim import Ask, Claim, Claims, Turn
from studies.storage.gone import deletion_told
from studies.storage.lease import Lease, Watch, worker_id
from studies.storage.opening import unusable
from studies.storage.patience import PatientStorage
from studies.storage.slots import first_try, rules_of
from studies.storage.stopping import stopping_of
from studies.trial.outcome import Outcome, RunTrial

log = logging.getLogger(__name__)
POLL_S = 0.5
DEVICE_LOST = 3  # exit code
RENEWED = 5  # exit code of a worker that a new process is to replace as a matter of course
UNTOLD = (Failure.KILLED, Failure.FAILED)  # the worker told nothing: it died, or another tool ended the trial


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The study of a worker, and where and when it works."""

    settings: StudySettings
    device_slot: str  # its device and threads in words, kept with each trial
    deadline: Deadline
    signals: StopSignals
    is_renewable: bool = False  # a new process takes over at once where this one leaves with `RENEWED`


def work(storage: BaseStorage, *, context: WorkerContext, run_trial: RunTrial) -> None:
    """Run trials by `run_trial` until every slot is finished, a limit or `stop_at` is reached, or a signal comes.

    Raises `StudyStopped` after too many alike failures, `StorageUnusable` where the storage fails.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = context.settings
    sampler = StudySampler(settings)
    pruner = make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs)
    try:
        study = optuna.load_study(study_name=settings.study_name, storage=storage, sampler=sampler, pruner=pruner)
        with deletion_told(storage, settings.study_name):
            watch = Watch(storage, lease_s=settings.storage.lease_s)
            claims = Claims(study, rules=rules_of(settings), watch=watch, ask=_frugal(study, storage, sampler))
            _Worker(study, sampler, context, run_trial).work(claims, watch)
    except StorageInternalError as error:
        raise unusable(error) from error


@dataclass(frozen=True, slots=True)
class _Worker:
    study: optuna.Study
    sampler: StudySampler
    context: WorkerContext
    run_trial: RunTrial

    def work(self, claims: Claims, watch: Watch) -> None:
        """Claim and run trials as long as there are any, then leave."""
        settings, signals, deadline = self.context.settings, self.context.signals, self.context.deadline
        stopping = stopping_of(settings)
        while signals.reason() is None and not deadline.is_over:
            trials = self.study.get_trials(deepcopy=False)
            stop_if_hopeless(trials, settings.max_failures, since=deadline.begun)
            if stopping.applies(trials):
                break
            turn = claims.next(trials)
            if turn is Turn.LEAVE:
                return
            if isinstance(turn, Claim):
                self._run(turn)
            else:
                signals.wait(POLL_S)
        self._wait_for_dead_workers(watch)

    def _wait_for_dead_workers(self, watch: Watch) -> None:
        """Free the trials of dead workers before leaving an unfinished study, for nobody may look at them again.

        It waits as long as a death may take to show. Trials still running then have a living worker, perhaps another
        command's.
        """
        signals = self.context.signals
        deadline = time.monotonic() + self.context.settings.storage.lease_s + 4 * POLL_S
        while signals.reason() is None and time.monotonic() < deadline:
            trials = self.study.get_trials(deepcopy=False)
            if not any(trial.state == TrialState.RUNNING for trial in trials):
                return
            watch.release_stale(self.study, trials)
            signals.wait(POLL_S)

    def _run(self, claim: Claim) -> None:
        trial, settings = claim.trial, self.context.settings
        replicate = self._replicate(claim)
        seed = training_seed(settings.seed, replicate, stream=settings.stream)
        attributes = {
            schema.WORKER: worker_id(),
            schema.DEVICE_SLOT: self.context.device_slot,
            schema.SLOT: claim.slot,
            schema.REPLICATE: replicate,
            schema.SEED: seed,
            schema.SOURCE: self._source(claim),
        }
        interrupted = self.context.signals.reason
        try:
            for key, value in attributes.items():
                trial.set_user_attr(key, value)
            log.info("trial %d begins (slot %d, attempt %d)", trial.number, claim.slot, claim.attempt)
            with Lease(trial, lease_s=settings.storage.lease_s):
                outcome = self.run_trial(trial, settings, seed=seed, interrupted=interrupted, repeated=claim.repeated)
            self._tell(trial, outcome)
            if outcome.has_checkpoint:
                checkpoints_of(settings).discard_useless(self.study.get_trials(deepcopy=False))
            if outcome.device_is_lost:
                sys.exit(DEVICE_LOST)  # a new process takes over, with a device that works
            if self.context.is_renewable and (outcome.taints or settings.isolates_trials):
                sys.exit(RENEWED)
        except UpdateFinishedTrialError:
            log.warning("trial %d was given to another worker: this one had been silent for too long", trial.number)

    def _replicate(self, claim: Claim) -> int:
        """Return the replicate of the trial. A retry keeps that of the first try, by whatever rule."""
        kept = None if claim.repeated is None else claim.repeated.user_attrs.get(schema.REPLICATE)
        return kept if isinstance(kept, int) and kept >= 0 else replicate_of(self.context.settings, claim.slot)

    def _source(self, claim: Claim) -> str:
        """Return who proposed the point. A retry keeps the source of the first try, whatever the settings say now."""
        repeated = claim.repeated
        if repeated is not None and repeated.params and schema.SOURCE in repeated.user_attrs:
            return str(repeated.user_attrs[schema.SOURCE])
        return self.sampler.source(claim.slot, redrawn=schema.REDRAWN in claim.trial.user_attrs)

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        for key, value in outcome.attributes.items():
            trial.set_user_attr(key, value)
        try:
            self.study.tell(trial, outcome.values, state=outcome.state)
        except ValueError as error:  # Optuna raises it for a finished trial, and for a bad value
            if self.study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise UpdateFinishedTrialError(str(error)) from error
            raise
        log.info("trial %d %s %s %s", trial.number, outcome.state.name, outcome.values, outcome.attributes)


def _frugal(study: optuna.Study, storage: BaseStorage, sampler: StudySampler) -> Ask:
    """Return an `Ask` that reads nothing twice: reading all trials costs the more, the more workers run."""

    def ask(trials: Sequence[FrozenTrial]) -> tuple[optuna.Trial, Sequence[FrozenTrial]]:
        known = storage.having_read(trials) if isinstance(storage, PatientStorage) else contextlib.nullcontext()
        with known:
            return study.ask(), sampler.trials

    return ask


def stop_if_hopeless(trials: Sequence[FrozenTrial], max_failures: int, *, since: datetime) -> None:
    """Raise `StudyStopped` if the last `max_failures` trials that ended since then all failed in the same way.

    A configuration that kills its worker counts once, however often it is tried: it says nothing about the study.
    """
    if sum(trial.state == TrialState.FAIL for trial in trials) < max_failures:
        return
    since = since.astimezone().replace(tzinfo=None)  # as Optuna keeps times
    ended = [t for t in trials if t.datetime_complete is not None and t.datetime_complete >= since]
    ended = [t for t in ended if schema.VOID not in t.user_attrs and not was_interrupted(t)]
    by_end = sorted(ended, key=lambda trial: trial.datetime_complete or since)
    once = {first_try(trials, t).number if failure_of(t) in UNTOLD else t.number: t for t in by_end}
    last = sorted(once.values(), key=lambda trial: trial.datetime_complete or since)[-max_failures:]
    kinds = {_kind(trial) for trial in last}
    if len(last) == max_failures and len(kinds) == 1 and None not in kinds:
        message = last[-1].user_attrs.get(schema.FAILURE_MESSAGE, "no message")
        numbers = ", ".join(str(trial.number) for trial in last)
        raise StudyStopped(
            f"the last {max_failures} trials ({numbers}) all ended in {failure_of(last[-1])}: {message}\n"
            "The workers' logs have the tracebacks. Correct the cause and run the same command again, "
            "or raise max_failures."
        )


def _kind(trial: FrozenTrial) -> str | None:
    """Return the kind of a failure: its class and the exception's type. None for a trial that counts as good."""
    failure = failure_of(trial)
    if failure is not Failure.ERROR and failure not in UNTOLD:
        return None
    return f"{failure} {str(trial.user_attrs.get(schema.FAILURE_MESSAGE, '')).partition(':')[0].split(' ')[0]}"
