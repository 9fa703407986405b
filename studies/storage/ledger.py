"""The slot rule kept up to date: what `read_slots` says of all trials, told from the new ones alone.

A study of 10,000 trials is read some times in each further one, so whoever claims or draws a point keeps a ledger. It
rests on what never changes: trials are numbered in the order in which they appear, whether a trial repeats another is
written when it is made, and a finished slot is touched again only by a trial that repeats its last one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial

from studies import schema
from studies.schema import fills_a_slot
from studies.storage.slots import Rules, Slot


class Ranks:
    """Which slot a trial fills: its rank among the study's own that repeat no other."""

    def __init__(self) -> None:
        self.originals: list[int] = []
        self._n_read = 0

    def read(self, trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """Take note of the trials that are new among all of a study's, by number; and return those."""
        new = trials[self._n_read :]
        self.originals += [trial.number for trial in new if fills_a_slot(trial)]
        self._n_read = len(trials)
        return new

    def slot_of(self, trial: FrozenTrial) -> int:
        """The slot of a trial that is about to run; what its record says if it repeats another."""
        if schema.RETRY_OF in trial.user_attrs:
            return int(trial.user_attrs[schema.SLOT])
        return bisect_left(self.originals, trial.number)


class Ledger:
    """The begun slots of one study under `rules`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ranks = Ranks()
        self._trials: Sequence[FrozenTrial] = ()
        self._successors: dict[int, int] = {}
        self._chains: list[list[int]] = []
        self._slot_of_last: dict[int, int] = {}
        self._members: set[int] = set()
        self._open: set[int] = set()

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the ledger up to date with all of the study's trials, by number."""
        self._trials = trials
        for trial in self._ranks.read(trials):
            if schema.RETRY_OF in trial.user_attrs:
                self._successors.setdefault(trial.user_attrs[schema.RETRY_OF], trial.number)
        for number in self._ranks.originals[len(self._chains) : self._rules.n_trials]:
            self._slot_of_last[number] = len(self._chains)
            self._open.add(len(self._chains))
            self._chains.append([number])
            self._members.add(number)
        for failed in [number for number in self._successors if number in self._slot_of_last]:
            self._lengthen(self._slot_of_last[failed])
        self._open -= {slot.index for slot in self.open_slots() if self._rules.is_finished(slot)}

    def open_slots(self) -> Iterator[Slot]:
        """The slots that have been begun and are not finished, in order."""
        return (self._slot(index) for index in sorted(self._open))

    @property
    def n_begun(self) -> int:
        """How many slots have been begun."""
        return len(self._chains)

    def slot_ending_in(self, number: int) -> Slot | None:
        """The slot whose last trial has this number; None where the trial is surplus, or was repeated since."""
        index = self._slot_of_last.get(number)
        return None if index is None else self._slot(index)

    def has(self, number: int) -> bool:
        """Whether the trial of this number is one of a slot's chain."""
        return number in self._members

    def _lengthen(self, index: int) -> None:
        chain = self._chains[index]
        while chain[-1] in self._successors:
            del self._slot_of_last[chain[-1]]
            chain.append(self._successors.pop(chain[-1]))
            self._slot_of_last[chain[-1]] = index
            self._members.add(chain[-1])
        self._open.add(index)

    def _slot(self, index: int) -> Slot:
        return Slot(index, tuple(self._trials[number] for number in self._chains[index]))
