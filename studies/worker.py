"""One worker: claims a trial, runs it, tells its result, until the budget is spent. Does not know who launched it."""

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
from studies.process.shift import Shift
from studies.process.signals import StopSignals
from studies.schema import Failure, failure_of, was_interrupted
from studies.search.pruners import make_pruner
from studies.search.samplers import StudySampler, make_sampler
from studies.search.seeds import replicate_of, seed_of
from studies.storage.checkpoints import discard_useless
from studies.storage.claim import Ask, Claim, Claims, Turn
from studies.storage.device_time import are_devices_spent
from studies.storage.gone import deletion_told
from studies.storage.lease import Lease, Watch, worker_id
from studies.storage.opening import unusable
from studies.storage.patience import PatientStorage
from studies.storage.slots import first_try, rules_of
from studies.trial.outcome import Outcome, RunTrial

log = logging.getLogger(__name__)
POLL_S = 0.5
DEVICE_LOST = 3  # exit code
RENEWED = 5  # exit code of a worker whose place a new process takes as a matter of course
UNTOLD = (Failure.KILLED, Failure.FAILED)  # the worker told nothing: it died, or another tool ended the trial


@dataclass(frozen=True, slots=True)
class Post:
    """A worker's post: where it is, in words that are kept with each trial; when it works; who may call it off.

    `is_renewable`: where this process leaves with `RENEWED`, a new one takes over at once.
    """

    place: str
    shift: Shift
    signals: StopSignals
    is_renewable: bool = False


def work(settings: StudySettings, storage: BaseStorage, *, post: Post, run_trial: RunTrial) -> None:
    """Run trials by `run_trial` until every slot is finished, the time or the device time is up, `stop_at` is
    reached, or a signal comes.

    Raises `StudyStopped` after too many alike failures, `StorageUnusable` where the storage fails.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = make_sampler(settings)
    try:
        study = optuna.load_study(
            study_name=settings.study_name, storage=storage, sampler=sampler, pruner=make_pruner(settings)
        )
        with deletion_told(storage, settings.study_name):
            _work(study, settings, storage, sampler, post, run_trial)
    except StorageInternalError as error:
        raise unusable(error) from error


def _work(
    study: optuna.Study,
    settings: StudySettings,
    storage: BaseStorage,
    sampler: StudySampler,
    post: Post,
    run_trial: RunTrial,
) -> None:
    watch = Watch(storage, lease_s=settings.storage.lease_s)
    claims = Claims(study, rules=rules_of(settings), watch=watch, ask=_frugal(study, storage, sampler))
    while post.signals.reason() is None and not post.shift.is_over:
        trials = study.get_trials(deepcopy=False)
        stop_if_hopeless(trials, settings.max_failures, since=post.shift.begun)
        if has_reached(trials, settings) or are_devices_spent(trials, settings):
            break
        turn = claims.next(trials)
        if turn is Turn.LEAVE:
            return
        if isinstance(turn, Claim):
            _run(turn, study, settings, sampler, post, run_trial)
        else:
            post.signals.wait(POLL_S)
    _see_off(study, watch, post, lease_s=settings.storage.lease_s)


def _see_off(study: optuna.Study, watch: Watch, post: Post, *, lease_s: float) -> None:
    """Before leaving an unfinished study: set free what dead workers left running, which nobody may look at again.

    For as long as that may take to show; what then still runs has a worker that lives, perhaps another command's.
    """
    deadline = time.monotonic() + lease_s + 4 * POLL_S
    while post.signals.reason() is None and time.monotonic() < deadline:
        trials = study.get_trials(deepcopy=False)
        if not any(trial.state == TrialState.RUNNING for trial in trials):
            return
        watch.release_stale(study, trials)
        post.signals.wait(POLL_S)


def _frugal(study: optuna.Study, storage: BaseStorage, sampler: StudySampler) -> Ask:
    """Asks without reading what has been read: a read of all trials costs the more, the more workers run."""

    def ask(trials: Sequence[FrozenTrial]) -> tuple[optuna.Trial, Sequence[FrozenTrial]]:
        known = storage.having_read(trials) if isinstance(storage, PatientStorage) else contextlib.nullcontext()
        with known:
            return study.ask(), sampler.trials

    return ask


def has_reached(trials: Sequence[FrozenTrial], settings: StudySettings) -> bool:
    """Whether one of `trials` is as good in the first objective as `stop_at` asks for."""
    if settings.stop_at is None:
        return False
    sign = 1 if settings.objective.direction == "maximize" else -1
    values = [trial.values[0] for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
    return any(sign * value >= sign * settings.stop_at for value in values)


def stop_if_hopeless(trials: Sequence[FrozenTrial], max_failures: int, *, since: datetime) -> None:
    """Raise `StudyStopped` if the last `max_failures` trials that ended since then all failed in the same way.

    A configuration that kills its worker counts once, however often it is tried: it is marked, and not the study.
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
    """What makes two failures alike: the class and the exception's type. None for a trial that counts as good."""
    failure = failure_of(trial)
    if failure is not Failure.ERROR and failure not in UNTOLD:
        return None
    return f"{failure} {str(trial.user_attrs.get(schema.FAILURE_MESSAGE, '')).partition(':')[0].split(' ')[0]}"


def _run(
    claim: Claim,
    study: optuna.Study,
    settings: StudySettings,
    sampler: StudySampler,
    post: Post,
    run_trial: RunTrial,
) -> None:
    trial, replicate = claim.trial, replicate_of(settings, claim.slot)
    seed = seed_of(settings, claim.slot)
    attributes = {
        schema.WORKER: worker_id(),
        schema.DEVICE_SLOT: post.place,
        schema.SLOT: claim.slot,
        schema.REPLICATE: replicate,
        schema.SEED: seed,
        schema.SOURCE: _source(claim, sampler),
    }
    try:
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        log.info("trial %d begins (slot %d, attempt %d)", trial.number, claim.slot, claim.attempt)
        with Lease(trial, lease_s=settings.storage.lease_s):
            outcome = run_trial(trial, settings, seed=seed, interrupted=post.signals.reason, repeated=claim.repeated)
        _tell(study, trial, outcome)
        if outcome.has_checkpoint:
            discard_useless(study.get_trials(deepcopy=False), settings)
        if outcome.device_is_lost:
            sys.exit(DEVICE_LOST)  # a new process takes over, with a device that works
        if post.is_renewable and (outcome.taints or settings.isolates_trials):
            sys.exit(RENEWED)
    except UpdateFinishedTrialError:
        log.warning("trial %d was given to another worker: this one had been silent for too long", trial.number)


def _source(claim: Claim, sampler: StudySampler) -> str:
    """Who proposed the point; of one that is repeated, whoever did at first, whatever the settings say now."""
    repeated = claim.repeated
    if repeated is not None and repeated.params and schema.SOURCE in repeated.user_attrs:
        return str(repeated.user_attrs[schema.SOURCE])
    return sampler.source(claim.slot, redrawn=schema.REDRAWN in claim.trial.user_attrs)


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    for key, value in outcome.attributes.items():
        trial.set_user_attr(key, value)
    try:
        study.tell(trial, outcome.values, state=outcome.state)
    except ValueError as error:  # Optuna's word for a trial that is finished already, and for a value that is none
        if study.get_trials(deepcopy=False)[trial.number].state.is_finished():
            raise UpdateFinishedTrialError(str(error)) from error
        raise
    log.info("trial %d %s %s %s", trial.number, outcome.state.name, outcome.values, outcome.attributes)
