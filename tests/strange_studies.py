"""Studies as other tools leave them, drawn at random: whatever Optuna admits, in one place."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema

NAMES = ("a.b/c", "x[0]", "sp ace", "p|q", "new\nline", "$x$", "trial", "*", "lr", "batch_size", "../up", "x" * 120)
OURS = tuple(value for name, value in vars(schema).items() if name.isupper() and isinstance(value, str))
JUNK: tuple[Any, ...] = (3, "first", {"code": 1}, ["tpe"], None, True, -1.5, {"of": "x"}, {"name": "acc"}, "a: [", [])
STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
MOODS = ((1, 0, 0, 0), (7, 2, 1, 0), (4, 4, 1, 1), (0, 1, 0, 0), (0, 0, 1, 0), (1, 1, 0, 0))  # weights of the states


def _distributions() -> tuple[BaseDistribution, ...]:
    """Of every kind; Optuna warns of choices that other storages cannot keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return (
            FloatDistribution(0.0, 1.0),
            FloatDistribution(1e-5, 1e-1, log=True),
            FloatDistribution(-1.0, 1.0, step=0.25),
            FloatDistribution(0.5, 0.5),
            IntDistribution(1, 8),
            IntDistribution(1, 1024, log=True),
            IntDistribution(0, 98, step=7),
            CategoricalDistribution(("a", "b", "c")),
            CategoricalDistribution(([64], [64, 64], [128, 64, 32])),  # type: ignore[arg-type]
            CategoricalDistribution(({"a": 1}, {"a": 1, "b": [2]}, None)),  # type: ignore[arg-type]
            CategoricalDistribution((False, 0, True, 1)),
            CategoricalDistribution(("1", 1, 1.0, None, "None")),
            CategoricalDistribution((16, 32, 64, math.nan)),
        )


DISTRIBUTIONS = _distributions()


def strange_study(seed: int, *, n_trials: int) -> optuna.Study:
    """A study of another tool with up to `n_trials` trials, the same for the same `seed`."""
    rng = random.Random(seed)
    study = _empty(rng, f"study [{seed}] of ours/")
    if rng.random() < 0.4:
        for name in rng.sample(OURS, 8):
            study.set_user_attr(name, rng.choice(JUNK))
    space = {name: rng.choice(DISTRIBUTIONS) for name in rng.sample(NAMES, rng.randrange(4))}
    mood, mode = rng.choice(MOODS), rng.choice(("shared", "own", "none", "wild"))
    changes, is_constrained = rng.random() < 0.25, rng.random() < 0.35
    for _ in range(rng.choice((0, 1, 2, n_trials, n_trials))):
        active = {name: one for name, one in space.items() if not changes or rng.random() < 0.7}
        if changes:
            active |= {name: rng.choice(DISTRIBUTIONS) for name in active if rng.random() < 0.2}
        trial = _trial(rng, active, rng.choices(STATES, mood)[0], n_values=len(study.directions), mode=mode)
        if is_constrained and rng.random() < 0.8:
            trial.set_constraint("memory", rng.choice((-1.0, 0.0, 1.0)))
        try:
            study.add_trial(trial)
        except ValueError:
            continue  # other choices than before: Optuna admits none
    return study


def _empty(rng: random.Random, name: str) -> optuna.Study:
    n = rng.choice((1, 1, 1, 1, 2, 3))
    if rng.random() < 0.1:
        storage = optuna.storages.InMemoryStorage()
        storage.create_new_study([StudyDirection.NOT_SET] * n, name)
        return optuna.load_study(study_name=name, storage=storage)
    return optuna.create_study(study_name=name, directions=rng.choices(("minimize", "maximize"), k=n))


def _trial(
    rng: random.Random, space: Mapping[str, BaseDistribution], state: TrialState, *, n_values: int, mode: str
) -> FrozenTrial:
    params = {name: _draw(rng, one) for name, one in space.items()}
    base = rng.choice((1.0, rng.gauss(0, 1), math.inf, -math.inf, 1e200) if rng.random() < 0.2 else (rng.gauss(0, 1),))
    return create_trial(
        state=state,
        values=[base * (i + 1) for i in range(n_values)] if state == TrialState.COMPLETE else None,
        params=params,
        distributions=dict(space),
        intermediate_values=_reports(rng, base, mode) if n_values == 1 else {},
        user_attrs={name: rng.choice(JUNK) for name in rng.sample(OURS, 4)},
    )


def _reports(rng: random.Random, base: float, mode: str) -> dict[int, float]:
    n = rng.randrange(6)
    match mode:
        case "shared":
            return {step: base + 1 / step for step in range(1, n + 1)}
        case "own":
            each = rng.randrange(5, 60)
            return {each * step: base + 1 / (step + 1) for step in range(n)}
        case "wild":
            return {rng.choice((-3, 0, 7, 10**9)): rng.choice((math.nan, math.inf, base)) for _ in range(n)}
        case _:
            return {}


def _draw(rng: random.Random, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return rng.choice(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
        return round(value) if isinstance(distribution, IntDistribution) else value
    return low + step * rng.randrange(int((high - low) / step) + 1) if step else rng.uniform(low, high)
