"""A worker's ledger: the open slots of a study, kept up to date from new trials alone (the rule: `storage.slots`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial

from studies.storage.slots import Chains, Rules, Slot


class Ledger:
    """The begun slots of one study under `rules`."""

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
