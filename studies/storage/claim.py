"""Whose turn it is: an exact budget shared by workers that know nothing of each other.

The rule is read off the storage alone and is the same for every worker:

- The first `n_trials` trials that repeat no other one, by number, are the study's *slots*; a later one is surplus, is
  marked `void` and trains nothing.
- A failed trial has one successor: the first trial, by number, whose `retry_of` names it. A later one is surplus too.
- A slot is finished when the last trial of its chain is COMPLETE or PRUNED, or failed for good.
- The study is finished when every slot is.

Numbers are given out atomically, so whoever reads the storage after its own claim sees everything that could come
before it. The cost is a surplus row now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from studies import schema
from studies.schema import attempt_of, was_interrupted
from studies.settings import StudySettings
from studies.storage.lease import Watch

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Turn(Enum):
    """What a worker without a trial should do."""

    WAIT = auto()  # others are still running; look again in a while
    LEAVE = auto()  # every slot is finished


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is this worker's to run."""

    trial: Trial
    slot: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the budget: the chain of trials that tried to fill it, in order."""

    index: int
    chain: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial:
        """The trial that decides the slot's fate."""
        return self.chain[-1]


@dataclass(frozen=True, slots=True)
class Rules:
    """The study's rules of repetition. `redraws`: after `max_retries` a new point takes the failed one's place."""

    n_trials: int
    max_retries: int
    redraws: bool

    def is_finished(self, slot: Slot) -> bool:
        """Whether nothing more is to be tried in `slot`."""
        return slot.last.state in FINISHED or (self.has_failed(slot.last) and not self.redraws)

    def are_all_finished(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether the whole budget is spent."""
        slots = read_slots(trials, self.n_trials)
        return len(slots) == self.n_trials and all(self.is_finished(slot) for slot in slots)

    def repeats_point(self, failed: FrozenTrial) -> bool:
        """Whether the successor of `failed` takes the same point."""
        return not self.has_failed(failed) and schema.VOID not in failed.user_attrs

    def has_failed(self, trial: FrozenTrial) -> bool:
        """Whether the point of `trial` was tried often enough."""
        if trial.state != TrialState.FAIL or schema.VOID in trial.user_attrs or was_interrupted(trial):
            return False
        return attempt_of(trial) >= self.max_retries


def rules_of(settings: StudySettings) -> Rules:
    """The rules of repetition that `settings` ask for."""
    return Rules(settings.n_trials, settings.max_retries, redraws=not settings.is_designed)


def read_slots(trials: Sequence[FrozenTrial], n_trials: int) -> list[Slot]:
    """The slots that have been begun, in order; at most `n_trials`."""
    successors: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if schema.RETRY_OF in trial.user_attrs:
            successors.setdefault(trial.user_attrs[schema.RETRY_OF], trial)
    slots = []
    for index, first in enumerate(originals(trials)[:n_trials]):
        chain = [first]
        while chain[-1].number in successors:
            chain.append(successors[chain[-1].number])
        slots.append(Slot(index, tuple(chain)))
    return slots


def originals(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that repeat no other one, by number."""
    return sorted((trial for trial in trials if schema.RETRY_OF not in trial.user_attrs), key=lambda t: t.number)


def slot_of(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int:
    """The slot that `trial` fills: its rank among the originals, or what its record says if it repeats another."""
    if schema.RETRY_OF in trial.user_attrs:
        return int(trial.user_attrs[schema.SLOT])
    return sum(1 for other in trials if schema.RETRY_OF not in other.user_attrs and other.number < trial.number)


class Claims:
    """One worker's view of the shared budget of `study`."""

    def __init__(self, study: Study, *, rules: Rules, watch: Watch) -> None:
        self._study = study
        self._rules = rules
        self._watch = watch

    def next(self) -> Claim | Turn:
        """Claim a trial to run, or say whether to wait or to leave."""
        while True:
            for slot in self._slots():
                if slot.last.state == TrialState.FAIL and not self._rules.is_finished(slot):
                    self._enqueue_successor(slot)
            slots = self._slots()
            waiting = any(trial.state == TrialState.WAITING for trial in self._trials())
            if waiting or len(slots) < self._rules.n_trials:
                claim = self._ask()
                if claim is not None:
                    return claim
            elif all(self._rules.is_finished(slot) for slot in slots):
                return Turn.LEAVE
            elif not self._watch.release_stale(self._study, self._trials()):
                return Turn.WAIT

    def _slots(self) -> list[Slot]:
        return read_slots(self._trials(), self._rules.n_trials)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _enqueue_successor(self, slot: Slot) -> None:
        failed = slot.last
        same_point = self._rules.repeats_point(failed)
        attempt = attempt_of(failed) + (0 if was_interrupted(failed) else 1) if same_point else 0
        attributes = {schema.RETRY_OF: failed.number, schema.SLOT: slot.index, schema.ATTEMPT: attempt}
        if self._rules.redraws and self._rules.has_failed(failed):
            attributes[schema.REDRAWN] = True
        self._study.enqueue_trial(failed.params if same_point else {}, user_attrs=attributes)

    def _ask(self) -> Claim | None:
        """Take a waiting trial or begin a new slot; None where the claim turns out to be surplus."""
        trial = self._study.ask()
        for slot in self._slots():
            if slot.last.number == trial.number:
                return Claim(trial, slot.index, attempt_of(slot.last))
        trial.set_user_attr(schema.VOID, True)
        self._study.tell(trial, state=TrialState.FAIL)
        return None
