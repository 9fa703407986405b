from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from studies import schema
from studies.analysis.analyse import Analysis, analyse
from studies.analysis.estimate import Estimate
from studies.analysis.table import trials_table
from studies.analysis.verdict import Verdict

POWERS = tuple(2**k for k in range(4, 10))
SPACE: Mapping[str, BaseDistribution] = {
    "model.lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch_size": IntDistribution(16, 512, log=True),
    "activation": CategoricalDistribution(["relu", "tanh", "a|b"]),
    "slope": FloatDistribution(0.0, 1.0),
}
NOISE = 0.03

Point = Mapping[str, Any]
MakeStudy = Callable[..., optuna.Study]


def loss(point: Point) -> float:
    """A ridge with slope ½: a polynomial in the logarithms, so that its main effects are known."""
    off = math.log10(point["model.lr"]) + 3.5 - 0.5 * math.log10(point["batch_size"])
    return 0.3 * off**2


def make_study(points: list[dict[str, Any]], *, source: str | None = "random", **recorded: Any) -> optuna.Study:
    """A study whose storage tells what this framework would have recorded."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(7)
    study = optuna.create_study(study_name="known", direction="minimize")
    study.set_user_attr(schema.STUDY_SPACE, "batch_size: {type: power_of_two}")
    study.set_user_attr(schema.STUDY_FINGERPRINT, "0" * 16)
    for key, value in recorded.items():
        study.set_user_attr(key, value)
    for point in points:
        params = {name: value for name, value in point.items() if name in SPACE}
        attributes = {schema.SOURCE: source, schema.REPLICATE: point.get("replicate")}
        study.add_trial(
            create_trial(
                params=params,
                distributions={name: SPACE[name] for name in params},
                value=loss(params) + NOISE * float(rng.standard_normal()) + 0.2 * params.get("slope", 0.0),
                user_attrs={key: value for key, value in attributes.items() if value is not None},
            )
        )
    return study


def scattered(n: int, *, with_condition: bool = False) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    points = []
    for _ in range(n):
        point: dict[str, Any] = {"model.lr": float(10 ** rng.uniform(-4, -1)), "batch_size": int(rng.choice(POWERS))}
        if with_condition:
            point["activation"] = str(rng.choice(["relu", "tanh", "a|b"]))
            if point["activation"] == "relu":
                point["slope"] = float(rng.uniform())
        points.append(point)
    return points


@pytest.fixture(autouse=True, scope="session")
def _two_shuffles() -> Iterator[None]:
    """The null band of the screens has tests of its own, which run before these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studies.analysis.screen.N_SHUFFLES", 2)
        yield


@pytest.fixture(scope="session")
def known_study() -> optuna.Study:
    """60 random trials of learning rate × batch size."""
    budget = {"unit": "epochs", "amount": 3, "rungs": 3}
    return make_study(scattered(60), metric={"name": "val/loss"}, budget=budget)


@pytest.fixture(scope="session")
def known(known_study: optuna.Study) -> Analysis:
    """Its analysis, with intervals of a width of our own: how they are told is at stake here, not how wide they are."""
    analysis = analyse(trials_table(known_study), seed=1, budget_unit="epochs")
    effects = tuple(
        replace(
            e,
            verdict="ok",
            reasons=(),
            estimate=Estimate(e.estimate.value, max(0.0, e.estimate.value - 0.03), e.estimate.value + 0.03),
        )
        for e in analysis.effects
    )
    return replace(analysis, fits=(replace(analysis.whole, verdict=Verdict("ok")),), effects=effects, advice=())


@pytest.fixture(scope="session")
def conditional() -> Analysis:
    """The same with a categorical, and a parameter that only one of its choices has; by a sampler that adapts."""
    return analyse(trials_table(make_study(scattered(66, with_condition=True), source="tpe")), seed=1)


@pytest.fixture(scope="session")
def grid() -> Analysis:
    cells = itertools.product(np.logspace(-4, -1, 4), POWERS[::2], range(2))
    points = [{"model.lr": float(lr), "batch_size": batch, "replicate": seed} for lr, batch, seed in cells]
    return analyse(trials_table(make_study(points, source="grid")), seed=1, budget_unit="epochs")


@pytest.fixture(scope="session")
def few() -> Analysis:
    """Too few trials to fit anything."""
    return analyse(trials_table(make_study(scattered(5))), seed=1)


@pytest.fixture(scope="session")
def study_of() -> MakeStudy:
    return make_study
