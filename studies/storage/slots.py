"""The slot rule: how the trials of a study fill its budget.

The rule is read off the storage alone and is the same for every worker:

- The first `n_trials` trials that repeat no other one, by number, are the study's *slots*; a later one is surplus, is
  marked `void` and trains nothing. What was imported from another study is none of them.
- A failed trial has one successor: the first trial, by number, whose `retry_of` names it. A later one is surplus too.
- A slot is finished when the last trial of its chain is COMPLETE or PRUNED, or failed for good.
- The study is finished when every slot is.

Numbers are given out atomically, so whoever reads the storage after its own claim sees everything that could come
before it. The cost is a surplus row now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.schema import attempt_of, fills_a_slot, was_interrupted

QUEUED = "fixed_params"  # where Study.enqueue_trial keeps the point that a waiting trial is to take
LEFT_FOR_A_RETRY = frozenset({schema.CHECKPOINT, schema.RESTARTED, schema.BATCH_HALVED})
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the budget: the chain of trials that tried to fill it, in order."""

    index: int
    chain: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial:
        """The trial that decides the slot's fate."""
        return self.chain[-1]

    @property
    def of_one_point(self) -> tuple[FrozenTrial, ...]:
        """The trials that tried, or are to try, the newest point, in order; without void ones, which had none."""
        found: list[FrozenTrial] = []
        for trial in reversed(self.chain):
            if schema.VOID not in trial.user_attrs:
                found.append(trial)
            if schema.REDRAWN in trial.user_attrs:
                break
        return tuple(reversed(found))

    @property
    def point(self) -> dict[str, Any]:
        """What is known of the newest point: what was queued of it, and what was drawn by trials that may have died
        early."""
        known: dict[str, Any] = {}
        for trial in self.of_one_point:
            known |= {**trial.system_attrs.get(QUEUED, {}), **trial.params}
        return known

    @property
    def repeated(self) -> FrozenTrial | None:
        """The trial whose work the last one, which is about to run, takes up: the newest that left any for a retry.

        Where none did, the first one at its point; None where that is new.
        """
        earlier = [trial for trial in self.of_one_point if trial is not self.last]
        left = [trial for trial in earlier if not LEFT_FOR_A_RETRY.isdisjoint(trial.user_attrs)]
        return left[-1] if left else earlier[0] if earlier else None


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
        return self.n_finished(trials) == self.n_trials

    def n_finished(self, trials: Sequence[FrozenTrial]) -> int:
        """Return how many slots need no more trials."""
        return sum(self.is_finished(slot) for slot in read_slots(trials, self.n_trials))

    def repeats_point(self, failed: FrozenTrial) -> bool:
        """Whether the successor of `failed` takes the same point."""
        return not self.has_failed(failed) and schema.VOID not in failed.user_attrs

    def has_failed(self, trial: FrozenTrial) -> bool:
        """Whether the point of `trial` was tried often enough."""
        if trial.state != TrialState.FAIL or schema.VOID in trial.user_attrs or was_interrupted(trial):
            return False
        return attempt_of(trial) >= self.max_retries

    def is_to_be_repeated(self, slot: Slot) -> bool:
        """Whether the last trial of `slot` failed and something is to be tried in its place."""
        return slot.last.state == TrialState.FAIL and not self.is_finished(slot)


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
    """The study's own trials that repeat no other one, by number."""
    return sorted((trial for trial in trials if fills_a_slot(trial)), key=lambda t: t.number)


def first_try(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> FrozenTrial:
    """The first of the trials in a row, up to `trial`, that tried its point. `trials` are all of a study, by number."""
    while schema.REDRAWN not in trial.user_attrs and trial.user_attrs.get(schema.RETRY_OF, trial.number) < trial.number:
        trial = trials[trial.user_attrs[schema.RETRY_OF]]
    return trial
