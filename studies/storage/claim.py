"""Whose turn it is: an exact budget shared by workers that know nothing of each other (the rule: `storage.slots`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from studies import schema
from studies.schema import attempt_of, was_interrupted
from studies.storage.lease import Watch
from studies.storage.ledger import Ledger
from studies.storage.slots import Rules, Slot


class Turn(Enum):
    """What a worker without a trial should do."""

    WAIT = auto()  # others are still running; look again in a while
    LEAVE = auto()  # every slot is finished


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is this worker's to run. `repeated` is the one whose point it tries again, if it does."""

    trial: Trial
    slot: int
    attempt: int
    repeated: FrozenTrial | None


# Takes or makes a trial, given the study's trials as read just now; gives it, and the trials that it is among.
Ask = Callable[[Sequence[FrozenTrial]], tuple[Trial, Sequence[FrozenTrial]]]


class Claims:
    """One worker's view of the shared budget of `study`.

    `ask`: as the study's own, where that can be had with fewer reads.
    """

    def __init__(self, study: Study, *, rules: Rules, watch: Watch, ask: Ask | None = None) -> None:
        self._study = study
        self._ask_for = ask or (lambda _: (study.ask(), study.get_trials(deepcopy=False)))
        self._rules = rules
        self._watch = watch
        self._ledger = Ledger(rules)

    def next(self, trials: Sequence[FrozenTrial] | None = None) -> Claim | Turn:
        """Claim a trial to run, or say whether to wait or to leave. `trials`: the study's, where just read."""
        trials = self._read(trials)
        while True:
            if self._watch.release_stale(self._study, trials) or self._enqueue_successors():
                trials = self._read()
            begun, unfinished = self._ledger.n_begun, list(self._ledger.open_slots())
            if self._is_any_waiting(trials) or begun < self._rules.n_trials:
                claim = self._ask(trials)
                if claim is not None:
                    return claim
            elif not unfinished:
                self._void_surplus(trials)
                return Turn.LEAVE
            elif not any(self._rules.is_to_be_repeated(slot) for slot in unfinished):
                return Turn.WAIT
            trials = self._read()

    def _is_any_waiting(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether a trial waits that repeats one of ours, or that somebody has queued by hand."""
        waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
        return any(
            schema.RETRY_OF not in trial.user_attrs or self._ledger.has(trial.user_attrs[schema.RETRY_OF])
            for trial in waiting
        )

    def _read(self, trials: Sequence[FrozenTrial] | None = None) -> Sequence[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False) if trials is None else trials
        self._ledger.read(trials)
        return trials

    def _enqueue_successors(self) -> bool:
        """Queue what failed and is to be tried again; whether there was any. Two workers may do this at once: the rule
        makes the later one surplus."""
        repeated = [slot for slot in self._ledger.open_slots() if self._rules.is_to_be_repeated(slot)]
        for slot in repeated:
            self._enqueue_successor(slot)
        return bool(repeated)

    def _enqueue_successor(self, slot: Slot) -> None:
        if schema.VOID in slot.last.user_attrs and len(slot.chain) > 1:
            self._enqueue_again(slot)
            return
        failed = slot.last
        same_point = self._rules.repeats_point(failed)
        attempt = attempt_of(failed) + (0 if was_interrupted(failed) else 1) if same_point else 0
        attributes = {schema.RETRY_OF: failed.number, schema.SLOT: slot.index, schema.ATTEMPT: attempt}
        never_drawn = schema.REDRAWN in failed.user_attrs and not failed.params
        if never_drawn or (self._rules.redraws and self._rules.has_failed(failed)):
            attributes[schema.REDRAWN] = True
        self._study.enqueue_trial(slot.point if same_point else {}, user_attrs=attributes)

    def _enqueue_again(self, slot: Slot) -> None:
        """Queue anew what a command with fewer slots took for surplus, and so marked before it had begun."""
        void = slot.last
        kept: dict[str, Any] = {
            key: void.user_attrs[key] for key in (schema.ATTEMPT, schema.REDRAWN) if key in void.user_attrs
        }
        attributes = {schema.RETRY_OF: void.number, schema.SLOT: slot.index, **kept}
        self._study.enqueue_trial(slot.point, user_attrs=attributes)

    def _ask(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        """Take a waiting trial or begin a new slot; None where the claim turns out to be surplus."""
        trial, trials = self._ask_for(trials)
        self._ledger.read(trials)
        slot = self._ledger.slot_ending_in(trial.number)
        if slot is not None:
            return Claim(trial, slot.index, attempt_of(slot.last), slot.repeated)
        self._watch.void(self._study, trials[trial.number])
        return None

    def _void_surplus(self, trials: Sequence[FrozenTrial]) -> None:
        """Mark the surplus claims whose workers died before they could, unless the study has grown meanwhile."""
        if self._study.user_attrs.get(schema.STUDY_N_TRIALS, 0) > self._rules.n_trials:
            return
        for trial in trials:
            claimed = schema.WORKER in trial.user_attrs  # by a command that knows of more slots
            if trial.state == TrialState.RUNNING and not claimed and self._ledger.slot_ending_in(trial.number) is None:
                self._watch.void(self._study, trial)
