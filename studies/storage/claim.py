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
    """A trial that is this worker's to run. `repeated` is the one whose point it tries again, if it does."""

    trial: Trial
    slot: int
    attempt: int
    repeated: FrozenTrial | None


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


def first_try(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> FrozenTrial:
    """The first of the trials in a row, up to `trial`, that tried its point. `trials` are all of a study, by number."""
    while schema.RETRY_OF in trial.user_attrs and schema.REDRAWN not in trial.user_attrs:
        trial = trials[trial.user_attrs[schema.RETRY_OF]]
    return trial


class Claims:
    """One worker's view of the shared budget of `study`."""

    def __init__(self, study: Study, *, rules: Rules, watch: Watch) -> None:
        self._study = study
        self._rules = rules
        self._watch = watch

    def next(self) -> Claim | Turn:
        """Claim a trial to run, or say whether to wait or to leave."""
        while True:
            trials = self._trials()
            if self._watch.release_stale(self._study, trials) or self._enqueue_successors(trials):
                trials = self._trials()
            slots = read_slots(trials, self._rules.n_trials)
            if any(trial.state == TrialState.WAITING for trial in trials) or len(slots) < self._rules.n_trials:
                claim = self._ask()
                if claim is not None:
                    return claim
            elif all(self._rules.is_finished(slot) for slot in slots):
                return Turn.LEAVE
            elif not any(self._is_to_be_repeated(slot) for slot in slots):
                return Turn.WAIT

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _is_to_be_repeated(self, slot: Slot) -> bool:
        return slot.last.state == TrialState.FAIL and not self._rules.is_finished(slot)

    def _enqueue_successors(self, trials: Sequence[FrozenTrial]) -> bool:
        """Queue what failed and is to be tried again; whether there was any. Two workers may do this at once: the rule
        makes the later one surplus."""
        repeated = [slot for slot in read_slots(trials, self._rules.n_trials) if self._is_to_be_repeated(slot)]
        for slot in repeated:
            self._enqueue_successor(slot)
        return bool(repeated)

    def _enqueue_successor(self, slot: Slot) -> None:
        failed = slot.last
        same_point = self._rules.repeats_point(failed)
        attempt = attempt_of(failed) + (0 if was_interrupted(failed) else 1) if same_point else 0
        attributes = {schema.RETRY_OF: failed.number, schema.SLOT: slot.index, schema.ATTEMPT: attempt}
        never_drawn = schema.REDRAWN in failed.user_attrs and not failed.params
        if never_drawn or (self._rules.redraws and self._rules.has_failed(failed)):
            attributes[schema.REDRAWN] = True
        self._study.enqueue_trial(failed.params if same_point else {}, user_attrs=attributes)

    def _ask(self) -> Claim | None:
        """Take a waiting trial or begin a new slot; None where the claim turns out to be surplus."""
        trial = self._study.ask()
        trials = self._trials()
        for slot in read_slots(trials, self._rules.n_trials):
            if slot.last.number == trial.number:
                return Claim(trial, slot.index, attempt_of(slot.last), _repeated(slot))
        trial.set_user_attr(schema.VOID, True)
        self._study.tell(trial, state=TrialState.FAIL)
        return None


def _repeated(slot: Slot) -> FrozenTrial | None:
    """The trial whose point the last one of `slot` tries again."""
    if len(slot.chain) == 1 or schema.REDRAWN in slot.last.user_attrs:
        return None
    return slot.chain[-2] if schema.VOID not in slot.chain[-2].user_attrs else None
