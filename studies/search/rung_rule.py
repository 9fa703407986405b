"""Pruning by the first of two objectives.

Context: Optuna's `should_prune` refuses several objectives, and its pruners read intermediate values, which such trials
cannot have (optuna#3450). Choice: the rungs are kept in each trial's attribute `rungs`, and Optuna's own pruner sees
the study as its first objective alone would have it. Successive halving is ours, since Optuna's writes to its storage.
It reads the winners of a rung off the stored rungs, so workers, resumed studies and retries need no other memory. Cost:
one read of all trials a rung, as with Optuna's own. Hyperband depends on Optuna's internals and is not offered.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from optuna import Study
from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies.records.objectives import by_first, rungs_of


def make_rule(kind: type[BasePruner], options: Mapping[str, Any], *, last: int) -> BasePruner:
    """Return a pruner for two objectives that answers as Optuna's pruner of this kind does for one.

    `last` is the last rung of a trial, where none is stopped. Raises what Optuna's pruner raises for bad `options`.
    """
    pruner = kind(**options)
    if kind is not SuccessiveHalvingPruner:
        return ByFirst(pruner, last=last)
    bound = inspect.signature(kind).bind(**options)
    bound.apply_defaults()
    return Halving(**bound.arguments, last=last)


@dataclass(frozen=True, slots=True)
class FirstObjective:
    """A study as Optuna's pruners see it: with the first objective alone, and without the last rung."""

    direction: StudyDirection
    trials: Sequence[FrozenTrial]

    def get_trials(self, deepcopy: bool = True, states: Sequence[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials in `states`, as Optuna's `Study` does."""
        return [trial for trial in self.trials if states is None or trial.state in states]


class ByFirst(BasePruner):
    """Optuna's `pruner`, applied to the first objective."""

    def __init__(self, pruner: BasePruner, *, last: int) -> None:
        self._pruner = pruner
        self._last = last

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether `trial` is to stop, by the rungs of all trials in the storage."""
        others = [self._judged(other) for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        view = FirstObjective(study.directions[0], others)
        return self._pruner.prune(cast(Study, view), by_first([trial])[0])

    def _judged(self, trial: FrozenTrial) -> FrozenTrial:
        seen = copy.copy(trial)
        seen.intermediate_values = {i: value for i, value in rungs_of(trial).items() if i < self._last}
        return seen


class Halving(BasePruner):
    """Asynchronous successive halving: the best 1/`reduction_factor` of the trials at one of its rungs continue.

    The first trials continue while they are the best so far: like Optuna, it cannot pause a trial. A trial may skip
    from one halving past the next. It counts with the same value at both, even if it lost the first. Optuna leaves it
    out of the next halving.
    """

    def __init__(
        self,
        *,
        min_resource: int,
        reduction_factor: int,
        min_early_stopping_rate: int,
        bootstrap_count: int,
        last: int,
    ) -> None:
        self._first = min_resource * reduction_factor**min_early_stopping_rate
        self._reduction_factor = reduction_factor
        self._bootstrap_count = bootstrap_count
        self._last = last

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether `trial` is to stop, by the rungs of all trials in the storage."""
        own = rungs_of(trial)
        if not own:
            return False
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        curves = [{i: v for i, v in rungs_of(other).items() if i < self._last} for other in others]
        sign = 1 if study.directions[0] == StudyDirection.MINIMIZE else -1
        rung, before = max(own), max((index for index in own if index != max(own)), default=0)
        step = self._first
        while step <= rung:
            if step > before and self._loses(sign * own[rung], [sign * v for c in curves for v in _at(c, step)]):
                return True
            step *= self._reduction_factor
        return False

    def _loses(self, loss: float, others: Sequence[float]) -> bool:
        competing = sorted([*others, loss])
        if len(competing) <= self._bootstrap_count:
            return True
        return loss > competing[max(len(competing) // self._reduction_factor, 1) - 1]


def _at(curve: Mapping[int, float], step: int) -> list[float]:
    """Return the value with which a trial came to `step`, as a list. It is empty where the trial did not."""
    reached = [index for index in curve if index >= step]
    return [curve[min(reached)]] if reached else []
