"""The slot rule: how the trials of a study fill its budget.

Every worker reads the rule off the storage alone:

- The first `n_trials` trials, by number, that are no retry and were not imported are the study's *slots*. A later one
  is surplus: it is marked `void` and trains nothing.
- A failed trial has one successor: the first trial, by number, whose `retry_of` names it. A later one is surplus too.
- A slot is finished when the last trial of its chain is COMPLETE or PRUNED, or has failed for good.
- The study is finished when every slot is.

The storage gives out numbers atomically. A worker that reads the storage after its own claim therefore sees every
earlier claim. The cost is a surplus row now and then.

Three things never change: trials are numbered in the order of their creation, `retry_of` is written at creation, and
only a retry of its last trial reopens a finished slot. So `Chains` needs to read each trial once, in a study of 10,000.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.schema import attempt_of, fills_a_slot, was_interrupted

QUEUED = "fixed_params"  # where Study.enqueue_trial keeps the point of a waiting trial
LEFT_FOR_A_RETRY = frozenset({schema.CHECKPOINT, schema.RESTARTED, schema.BATCH_HALVED})
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Slot:
    """One unit of the budget, with the chain of trials that tried to fill it, in order."""

    index: int
    chain: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial:
        """The trial that decides the slot."""
        return self.chain[-1]

    @property
    def of_one_point(self) -> tuple[FrozenTrial, ...]:
        """The trials of the newest point, in order. Void ones had no point and are left out."""
        found: list[FrozenTrial] = []
        for trial in reversed(self.chain):
            if schema.VOID not in trial.user_attrs:
                found.append(trial)
            if schema.REDRAWN in trial.user_attrs:
                break
        return tuple(reversed(found))

    @property
    def point(self) -> dict[str, Any]:
        """The newest point as far as it is known: queued values, and those that its trials drew before they failed."""
        known: dict[str, Any] = {}
        for trial in self.of_one_point:
            known |= {**trial.system_attrs.get(QUEUED, {}), **trial.params}
        return known

    @property
    def repeated(self) -> FrozenTrial | None:
        """The trial to resume from: the newest one of this point that left anything for a retry.

        Else the first trial of this point. None if the point is new.
        """
        earlier = [trial for trial in self.of_one_point if trial is not self.last]
        left = [trial for trial in earlier if not LEFT_FOR_A_RETRY.isdisjoint(trial.user_attrs)]
        return left[-1] if left else earlier[0] if earlier else None


@dataclass(frozen=True, slots=True)
class Rules:
    """The study's rules of repetition."""

    n_trials: int
    max_retries: int
    redraws: bool  # after `max_retries` a new point takes the place of the failed one

    def is_finished(self, slot: Slot) -> bool:
        """Return whether `slot` needs no more trials."""
        return slot.last.state in FINISHED or (self.has_failed(slot.last) and not self.redraws)

    def ended(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that decided their slots, in the order of the slots."""
        return [slot.last for slot in read_slots(trials, self.n_trials) if self.is_finished(slot)]

    def are_all_finished(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether the whole budget is spent."""
        return self.n_finished(trials) == self.n_trials

    def n_finished(self, trials: Sequence[FrozenTrial]) -> int:
        """Return how many slots need no more trials."""
        return len(self.ended(trials))

    def repeats_point(self, failed: FrozenTrial) -> bool:
        """Return whether the successor of `failed` takes the same point."""
        return not self.has_failed(failed) and schema.VOID not in failed.user_attrs

    def has_failed(self, trial: FrozenTrial) -> bool:
        """Return whether the point of `trial` was tried often enough."""
        if trial.state != TrialState.FAIL or schema.VOID in trial.user_attrs or was_interrupted(trial):
            return False
        return attempt_of(trial) >= self.max_retries

    def is_to_be_repeated(self, slot: Slot) -> bool:
        """Return whether the last trial of `slot` failed and needs a successor."""
        return slot.last.state == TrialState.FAIL and not self.is_finished(slot)


class Chains:
    """The numbers of the trials of each slot, brought up to date from new trials alone."""

    def __init__(self, n_slots: int | None = None) -> None:
        self.of_slot: list[list[int]] = []  # by slot: the numbers of its trials, in order
        self._n_slots = n_slots
        self._n_read = 0
        self._originals: list[int] = []
        self._successors: dict[int, int] = {}
        self._slot_of_last: dict[int, int] = {}
        self._members: set[int] = set()

    def read(self, trials: Sequence[FrozenTrial]) -> set[int]:
        """Read what is new in `trials`, all of the study by number. Return the slots that have another last trial."""
        new, self._n_read = trials[self._n_read :], len(trials)
        for trial in new:
            if schema.RETRY_OF in trial.user_attrs:
                self._successors.setdefault(trial.user_attrs[schema.RETRY_OF], trial.number)
            elif fills_a_slot(trial):
                self._originals.append(trial.number)
        begun = self._originals[len(self.of_slot) : self._n_slots]
        changed = set(range(len(self.of_slot), len(self.of_slot) + len(begun)))
        for number in begun:
            self._slot_of_last[number] = len(self.of_slot)
            self._members.add(number)
            self.of_slot.append([number])
        for failed in [number for number in self._successors if number in self._slot_of_last]:
            changed.add(self._slot_of_last[failed])
            self._lengthen(self._slot_of_last[failed])
        return changed

    def has(self, number: int) -> bool:
        """Return whether the trial `number` belongs to a slot."""
        return number in self._members

    def ending_in(self, number: int) -> int | None:
        """Return the slot whose last trial is `number`. None for a surplus trial, and for one with a successor."""
        return self._slot_of_last.get(number)

    def slot_of(self, trial: FrozenTrial) -> int:
        """Return the slot of a trial that is about to run. A retry records its slot; for others it is their rank."""
        if schema.RETRY_OF in trial.user_attrs:
            return int(trial.user_attrs[schema.SLOT])
        return bisect_left(self._originals, trial.number)

    def _lengthen(self, slot: int) -> None:
        chain = self.of_slot[slot]
        while chain[-1] in self._successors:
            del self._slot_of_last[chain[-1]]
            chain.append(self._successors.pop(chain[-1]))
            self._slot_of_last[chain[-1]] = slot
            self._members.add(chain[-1])


def rules_of(settings: StudySettings) -> Rules:
    """Return the rules of repetition that `settings` ask for."""
    return Rules(settings.n_trials, settings.max_retries, redraws=not settings.is_designed)


def read_slots(trials: Sequence[FrozenTrial], n_trials: int | None = None) -> list[Slot]:
    """Return the begun slots in order: at most `n_trials`, or all if it is None."""
    by_number = {trial.number: trial for trial in trials}
    chains = Chains(n_trials)
    chains.read(sorted(trials, key=lambda trial: trial.number))
    return [Slot(i, tuple(by_number[n] for n in chain)) for i, chain in enumerate(chains.of_slot)]


def first_try(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> FrozenTrial:
    """Return the first trial at the point of `trial`, a retry or not. `trials` are all of the study, by number."""
    while schema.REDRAWN not in trial.user_attrs and trial.user_attrs.get(schema.RETRY_OF, trial.number) < trial.number:
        trial = trials[trial.user_attrs[schema.RETRY_OF]]
    return trial
