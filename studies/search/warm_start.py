"""The gain of a warm start: replays of TPE on the measured cells of two tasks.

From scratch, TPE begins with random cells. A warm search first tries the other task's best settings, as `enqueue` does.
A replay draws one of a cell's training seeds, as a real trial would. It ends with the first cell whose mean is within
`near` of the best mean. A cell without a value (its trainings diverged, say) is told as pruned. Compared is the number
of trials that this takes, over many replays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from studies.analysis.estimate import Estimate
from studies.analysis.paired import paired
from studies.analysis.values.cross_fitted import Cell
from studies.config.parameter import Value
from studies.config.space import SearchSpace, is_active
from studies.search.seeds import sampler_seed

N_BEST = 5  # settings of the other task, tried first
N_REPLAYS = 40
Values = Mapping[Cell, Mapping[int, float]]  # cell → training seed → value


@dataclass(frozen=True, slots=True)
class WarmStart:
    """How many trials a search takes until a cell is near the best, as means over replays."""

    source: str
    target: str
    scratch: float
    warm: float
    saved: Estimate  # paired over replays


def warm_start(
    values: Mapping[str, Values],
    space: SearchSpace,
    *,
    source: str,
    target: str,
    near: float,
    maximize: bool,
    seed: int,
) -> WarmStart:
    """Compare `N_REPLAYS` searches on `target` with and without the best settings of `source`."""
    sign = 1.0 if maximize else -1.0
    means = {
        task: {cell: sign * float(np.mean(list(by_seed.values()))) for cell, by_seed in values[task].items()}
        for task in (source, target)
    }
    best = sorted(means[source], key=lambda cell: -means[source][cell])[:N_BEST]
    goal = {cell for cell, mean in means[target].items() if mean >= max(means[target].values()) - near}
    scratch, warm = (
        [
            _replay(values[target], space, first=first, goal=goal, maximize=maximize, seed=sampler_seed(seed, k))
            for k in range(N_REPLAYS)
        ]
        for first in ((), best)
    )
    return WarmStart(source, target, float(np.mean(scratch)), float(np.mean(warm)), paired(scratch, warm).difference)


def _replay(
    values: Values, space: SearchSpace, *, first: Sequence[Cell], goal: set[Cell], maximize: bool, seed: int
) -> int:
    """Return the number of trials until one lies in `goal`, at most twice the number of cells."""
    known = {frozenset(cell): cell for cell in values}  # type: ignore[call-overload]
    names = dict.fromkeys(name for cell in values for name, _ in cell)  # type: ignore[attr-defined]
    levels = {name: _levels(values, name, space) for name in names}
    sampler = TPESampler(multivariate=True, seed=seed)
    study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
    rng = np.random.default_rng(seed)
    for cell in first:
        study.enqueue_trial({name: levels[name].index(value) for name, value in cell})  # type: ignore[attr-defined]
    distributions = {name: _distribution(name, own, space) for name, own in levels.items()}
    for n in range(1, 2 * len(values) + 1):
        trial = study.ask(distributions)
        cell = known.get(_active({name: levels[name][trial.params[name]] for name in levels}, space))
        if cell is None:
            study.tell(trial, state=TrialState.PRUNED)
        elif cell in goal:
            return n
        else:
            study.tell(trial, float(rng.choice(list(values[cell].values()))))
    return 2 * len(values)


def _active(point: Mapping[str, Value], space: SearchSpace) -> frozenset[tuple[str, Value]]:
    """Return a point without its inactive parameters."""
    active: dict[str, Value] = {}
    for parameter in space:
        if parameter.name in point and is_active(parameter, active):
            active[parameter.name] = point[parameter.name]
    return frozenset(active.items())


def _levels(values: Values, name: str, space: SearchSpace) -> list[Value]:
    tried = {dict(cell)[name] for cell in values if name in dict(cell)}  # type: ignore[call-overload]
    return [level for level in space[name].levels or () if level in tried]


def _distribution(name: str, levels: Sequence[Value], space: SearchSpace) -> BaseDistribution:
    """Return the distribution of a level's index, ordered for numbers and categorical for choices."""
    if space[name].type == "categorical":
        return CategoricalDistribution(tuple(range(len(levels))))
    return IntDistribution(0, len(levels) - 1)
