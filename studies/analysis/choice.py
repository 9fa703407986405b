"""Which configuration is best: a single trial of a search, or a whole cell of a designed experiment.

Where a point was trained with several seeds, its mean over them is compared, never its luckiest seed; a point that
lacks some of its seeds (a diverged one, say) comes after all that have them. Of two objectives the first decides.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import t

from studies.objectives import by_first


@dataclass(frozen=True, slots=True)
class Choice:
    """A point with its value: the mean over `n` trainings, of which `trial` is the first; `half_width` is that of the
    mean's 95 % interval (Student's t), None for a single training."""

    trial: FrozenTrial
    value: float
    n: int = 1
    half_width: float | None = None


def best_of(trials: Sequence[FrozenTrial], *, maximize: bool) -> FrozenTrial | None:
    """The completed trial with the best value; the earliest of equals."""
    sign = -1.0 if maximize else 1.0
    return min(_complete(trials), key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def ranked(trials: Sequence[FrozenTrial], *, maximize: bool, by_point: bool) -> list[Choice]:
    """The choices among completed `trials`, best first; trials at one point are one choice where `by_point`."""
    groups: dict[object, list[FrozenTrial]] = defaultdict(list)
    for trial in sorted(_complete(trials), key=lambda trial: trial.number):
        groups[tuple(sorted(trial.params.items())) if by_point else trial.number].append(trial)
    choices = [_choice(group) for group in groups.values()]
    sign = -1.0 if maximize else 1.0
    return sorted(choices, key=lambda choice: (-choice.n, sign * choice.value, choice.trial.number))


def _choice(group: Sequence[FrozenTrial]) -> Choice:
    values = np.array([trial.value for trial in group], dtype=float)
    n = len(values)
    half_width = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return Choice(group[0], float(values.mean()), n, half_width)


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return by_first([trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values])
