"""The best configuration: a single trial of a search, or a whole cell of a designed experiment.

A point that was trained with several seeds is compared by its mean over them, never by its luckiest seed. A point that
lacks some of its seeds, since one diverged, comes after all complete ones. Of two objectives the first decides, and
among its equals the second: the best is on the front. Infeasible trials and infinite values are no choice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.estimate import Estimate
from studies.analysis.paired import mean
from studies.analysis.same_runs import distinct
from studies.records.eligible import can_be_best
from studies.records.objectives import by_first, losses_of
from studies.schema import failure_of


@dataclass(frozen=True, slots=True)
class Choice:
    """A point with its value: the mean over its trainings, of which `trial` is the first, with Student's interval.

    `n_pruned` more of its trainings were pruned.
    """

    trial: FrozenTrial
    estimate: Estimate
    n_pruned: int = 0

    @property
    def value(self) -> float:
        """The mean."""
        return self.estimate.value

    @property
    def n(self) -> int:
        """How many trainings the mean is of."""
        return self.estimate.n or 1


def best_of(trials: Sequence[FrozenTrial], *, maximize: bool, then_maximize: bool | None = None) -> FrozenTrial | None:
    """Return the completed trial with the best value. Of equals it is the better one by the second value, or the
    earliest."""
    losses = partial(losses_of, maximize=maximize, then_maximize=then_maximize)
    best = sorted(filter(can_be_best, trials), key=lambda trial: (*losses(trial), trial.number))[:1]
    return next(iter(by_first(best)), None)


def ranked(
    trials: Sequence[FrozenTrial], *, maximize: bool, by_point: bool, then_maximize: bool | None = None
) -> list[Choice]:
    """Return the choices among completed `trials`, best first. With `by_point`, trials at one point are one choice.

    Trials that are the same run then count once. `then_maximize` tells whether the second objective is maximised, which
    decides among equals. It is None where there is none.
    """
    losses = partial(losses_of, maximize=maximize, then_maximize=then_maximize)

    def rank(group: Sequence[FrozenTrial]) -> tuple[float, ...]:
        return -len(group), *np.mean([losses(trial) for trial in group], axis=0).tolist(), group[0].number

    def place(trial: FrozenTrial) -> object:
        return tuple(sorted(trial.params.items())) if by_point else trial.number

    groups: dict[object, list[FrozenTrial]] = defaultdict(list)
    counted = distinct(trials) if by_point else trials
    for trial in sorted(filter(can_be_best, counted), key=lambda trial: trial.number):
        groups[place(trial)].append(trial)
    pruned = Counter(place(trial) for trial in trials if trial.state == TrialState.PRUNED and failure_of(trial) is None)
    return [_choice(groups[at], n_pruned=pruned[at]) for at in sorted(groups, key=lambda at: rank(groups[at]))]


def _choice(group: Sequence[FrozenTrial], *, n_pruned: int) -> Choice:
    seen = by_first(group)
    values = np.array([trial.value for trial in seen], dtype=float)
    found = mean(values)
    is_spread = bool((values != values[0]).any())
    return Choice(seen[0], found if is_spread else replace(found, lo=None, hi=None), n_pruned)
