"""Claims: workers share an exact budget without knowing each other (the rule: `storage.slots`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from studies import schema
from studies.schema import attempt_of, was_interrupted
from studies.storage.lease import Watch
from studies.storage.slots import Chains, Rules, Slot


class Turn(Enum):
    """The next step of a worker without a trial."""

    WAIT = auto()  # others are still running: ask again in a while
    LEAVE = auto()  # every slot is finished


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial for this worker to run."""

    trial: Trial
    slot: int
    attempt: int
    repeated: FrozenTrial | None  # the trial to resume from


# Takes or makes a trial, given the study's trials as just read. Returns it, and the study's trials with it.
Ask = Callable[[Sequence[FrozenTrial]], tuple[Trial, Sequence[FrozenTrial]]]


class Claims:
    """One worker's view of the shared budget of `study`. `ask` replaces the study's own with one that reads less."""

    def __init__(self, study: Study, *, rules: Rules, watch: Watch, ask: Ask | None = None) -> None:
        self._study = study
        self._ask_for = ask or (lambda _: (study.ask(), study.get_trials(deepcopy=False)))
        self._rules = rules
        self._watch = watch
        self._ledger = Ledger(rules)

    def next(self, trials: Sequence[FrozenTrial] | None = None) -> Claim | Turn:
        """Claim a trial to run, or return whether to wait or to leave. `trials` are the study's, if just read."""
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
        """Return whether a trial is waiting: a retry within our slots, or one queued by hand."""
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
        """Queue the retries of failed trials. Return whether there were any.

        Two workers may do this at once: the rule makes the later retry surplus.
        """
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
        """Queue a retry again that a command with fewer slots has voided as surplus."""
        void = slot.last
        kept: dict[str, Any] = {
            key: void.user_attrs[key] for key in (schema.ATTEMPT, schema.REDRAWN) if key in void.user_attrs
        }
        attributes = {schema.RETRY_OF: void.number, schema.SLOT: slot.index, **kept}
        self._study.enqueue_trial(slot.point, user_attrs=attributes)

    def _ask(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        """Take a waiting trial or begin a new slot. Return None if the claim turns out to be surplus."""
        trial, trials = self._ask_for(trials)
        self._ledger.read(trials)
        slot = self._ledger.slot_ending_in(trial.number)
        if slot is not None:
            return Claim(trial, slot.index, attempt_of(slot.last), slot.repeated)
        self._watch.void(self._study, trials[trial.number])
        return None

    def _void_surplus(self, trials: Sequence[FrozenTrial]) -> None:
        """Void the surplus claims of workers that died before they did so, unless the study has grown meanwhile."""
        if self._study.user_attrs.get(schema.STUDY_N_TRIALS, 0) > self._rules.n_trials:
            return
        for trial in trials:
            claimed = schema.WORKER in trial.user_attrs  # by a command that knows of more slots
            if trial.state == TrialState.RUNNING and not claimed and self._ledger.slot_ending_in(trial.number) is None:
                self._watch.void(self._study, trial)


class Ledger:
    """A worker's view of the begun slots of a study under `rules`, kept up to date from new trials alone."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._chains = Chains(rules.n_trials)
        self._trials: Sequence[FrozenTrial] = ()
        self._open: set[int] = set()

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the ledger up to date with all of the study's trials, by number."""
        self._trials = trials
        self._open |= self._chains.read(trials)
        self._open -= {slot.index for slot in self.open_slots() if self._rules.is_finished(slot)}

    def open_slots(self) -> Iterator[Slot]:
        """Return the slots that have been begun and are not finished, in order."""
        return (self._slot(index) for index in sorted(self._open))

    @property
    def n_begun(self) -> int:
        """How many slots have been begun."""
        return len(self._chains.of_slot)

    def slot_ending_in(self, number: int) -> Slot | None:
        """Return the slot whose last trial is `number`. None for a surplus trial, and for one with a successor."""
        index = self._chains.ending_in(number)
        return None if index is None else self._slot(index)

    def has(self, number: int) -> bool:
        """Return whether the trial `number` belongs to a slot."""
        return self._chains.has(number)

    def _slot(self, index: int) -> Slot:
        return Slot(index, tuple(self._trials[number] for number in self._chains.of_slot[index]))
