"""The estimators that the trust benchmark compares, ours and the peers: one function and one entry for each.

Each gets a study and the analysis's table of it. Ours gives intervals, a verdict and claims. The peers give numbers.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import optuna
import trust_peers
from trust_truth import UNEXPLAINED, Names, middle_of

import studies.analysis
from studies.analysis.effects import effects_of, fits_of
from studies.analysis.estimate import Estimate
from studies.analysis.table import TrialsTable
from studies.analysis.training.training import TrainingAnalysis, training_of
from studies.analysis.tuning.tunability import tunability
from studies.analysis.verdict import LEVELS, Level


@dataclass(frozen=True)
class Training:
    """What decides whether a configuration trains, and what decides how well.

    border: the value between both groups, None if all of the worse one diverged
    decides: shares of the variance of the chance to train
    effects: Shapley effects where it is at least one half
    """

    border: float | None
    decides: Mapping[Names, Estimate]
    effects: Mapping[Names, Estimate]


@dataclass(frozen=True)
class Found:
    """What an estimator says of a study.

    level: the verdict on the study, the worst one if several sets of trials were fitted, None if there is none
    claimed: the interactions that it says the trials show
    losses: by each parameter at its middle, in the metric's unit
    training: None if it sees no two groups of trials
    """

    estimates: Mapping[Names, Estimate]
    level: Level | None = None
    claimed: frozenset[Names] = frozenset()
    losses: Mapping[Names, Estimate] = field(default_factory=dict)
    training: Training | None = None


@dataclass(frozen=True)
class Estimator:
    """An estimator in words, with the package that it needs."""

    function: Callable[[TrialsTable, optuna.Study], Found]
    words: str
    package: str = "optuna"
    modules: tuple[str, ...] = field(default=())

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return all(importlib.util.find_spec(module) is not None for module in self.modules)

    @property
    def version(self) -> str:
        """The version of its package."""
        return importlib.metadata.version(self.package)

    @property
    def digest(self) -> str:
        """A digest of the code behind its numbers."""
        return _digest(self.function, self.version)


def ours(table: TrialsTable, _: optuna.Study) -> Found:
    fits = fits_of(table, seed=0)
    effects = [effect for effect in effects_of(fits, seed=0) if effect.kind != "noise"]
    defaults = {axis.name: middle_of(axis) for axis in table.axes}
    metric = "accuracy" if table.maximize else "loss"  # of the surfaces, whose studies call it value
    tuning = tunability(fits, defaults=defaults, tolerance=0.0, seed=0, metric=metric)
    return Found(
        estimates={effect.params or UNEXPLAINED: effect.estimate for effect in effects},
        level=max((fit.verdict.level for fit in fits), key=LEVELS.index),  # the errors of all fits are counted
        claimed=frozenset(effect.params for effect in effects if effect.is_claimed),
        losses={(row.name,): row.loss for row in tuning},
        training=_training(training_of(table, seed=0)),
    )


def _training(found: TrainingAnalysis | None) -> Training | None:
    if found is None:
        return None
    names = [axis.name for axis in found.axes]
    mains = {(name,): share for name, share in zip(names, found.mains, strict=True)}
    pairs = {(names[i], names[j]): share for (i, j), share in found.pairs.items()}
    among = found.among
    effects = {} if among is None else zip([(names[i],) for i in among.chosen], among.effects, strict=True)
    return Training(found.groups.border, mains | pairs, dict(effects))


def peer(function: Callable[[TrialsTable, optuna.Study], Mapping[Names, float]]) -> Callable[..., Found]:
    """Return a peer's numbers as estimates without intervals."""

    def found(table: TrialsTable, study: optuna.Study) -> Found:
        return Found({names: Estimate(value) for names, value in function(table, study).items()})

    found.__wrapped__ = function  # type: ignore[attr-defined]
    return found


ESTIMATORS: Mapping[str, Estimator] = {
    "ours": Estimator(ours, "this project", "lightning-studies"),
    "fanova": Estimator(peer(trust_peers.optuna_fanova), "Optuna's fANOVA, of complete trials; mains only"),
    "ped-anova": Estimator(
        peer(trust_peers.optuna_ped_anova),
        "Optuna's PED-ANOVA, of complete trials: what gets into the best tenth; mains only",
    ),
    "forest": Estimator(
        peer(trust_peers.forest), "random forest with exact fANOVA, of the table's values", "scikit-learn"
    ),
    "oak": Estimator(
        peer(trust_peers.orthogonal_additive_gp),
        "BoTorch's orthogonal additive GP, of the table's values",
        "botorch",
        ("botorch",),
    ),
    "ax": Estimator(
        peer(trust_peers.ax_sobol),
        "Ax's Sobol indices, of whole curves where trials were pruned",
        "ax-platform",
        ("ax",),
    ),
}


@cache
def _digest(function: Callable[..., Found], version: str) -> str:
    """Return a digest of the file of `function`, of the analysis if it is ours, and of its package's version."""
    told = hashlib.sha256(version.encode())
    files = [Path(str(inspect.getsourcefile(inspect.unwrap(function))))]
    if function is ours:
        files += sorted(Path(str(studies.analysis.__file__)).parent.rglob("*.py"))
    else:
        files.append(files[0].with_name("trust_forest.py"))
    for file in files:
        told.update(file.read_bytes())
    return told.hexdigest()[:16]
