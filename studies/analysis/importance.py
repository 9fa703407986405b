"""Parameter importance on the search scale, with an interval and a null reference.

Optuna's fANOVA (Hutter, Hoos, Leyton-Brown 2014) integrates log parameters over the linear scale: on a loss where a
log-uniform learning rate explains 98 % it reports 15 %. Here it sees the encoded parameters, over which it is right.
Importance is the share of the fitted forest's variance that a parameter explains alone: raw, not scaled to sum to 1.
It does not see pairs. The interval is the 2.5–97.5 percentile over bootstrap resamples of the trials; the null is the
95th percentile of what the same computation gives for shuffled values: anything below it is noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState, create_trial

from studies.analysis.table import TrialsTable, encode

N_TREES = 64  # for the estimate
N_TREES_RESAMPLED = 20  # for each of the forests behind interval and null
N_BOOTSTRAP = 20
N_SHUFFLES = 20
MIN_TRIALS = 10


@dataclass(frozen=True, slots=True)
class Importance:
    """A parameter's share of variance, with its 95 % interval and what chance alone would give."""

    name: str
    estimate: float
    ci_lo: float
    ci_hi: float
    null: float

    @property
    def is_above_noise(self) -> bool:
        """Whether the lower end of the interval lies above the null."""
        return self.ci_lo > self.null


def importances(table: TrialsTable, *, seed: int) -> list[Importance]:
    """Importances of the table's parameters, largest first; empty with fewer than 10 trials or a constant value."""
    varied = [i for i in range(len(table.names)) if np.ptp(table.x[:, i]) > 0] if len(table.y) else []
    if len(table.y) < MIN_TRIALS or np.ptp(table.y) == 0 or not varied:
        return []
    rng = np.random.default_rng(seed)
    names = [table.names[i] for i in varied]
    x, distributions = table.x[:, varied], [table.distributions[i] for i in varied]
    n = len(table.y)

    def shares(rows: npt.NDArray[np.intp], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return _fanova(names, distributions, x[rows], y, seed=seed, n_trees=N_TREES_RESAMPLED)

    everything = np.arange(n)
    estimate = _fanova(names, distributions, x, table.y, seed=seed, n_trees=N_TREES)
    resamples = [rng.integers(0, n, n) for _ in range(N_BOOTSTRAP)]
    spread = np.array([shares(rows, table.y[rows]) for rows in resamples if np.ptp(table.y[rows]) > 0])
    null = np.array([shares(everything, rng.permutation(table.y)) for _ in range(N_SHUFFLES)])
    low, high = (
        np.minimum(np.percentile(spread, 2.5, axis=0), estimate),
        np.maximum(np.percentile(spread, 97.5, axis=0), estimate),
    )
    limit = np.percentile(null, 95, axis=0)
    found = [Importance(name, *map(float, row)) for name, *row in zip(names, estimate, low, high, limit, strict=True)]
    return sorted(found, key=lambda importance: -importance.estimate)


def _fanova(
    names: list[str],
    distributions: list[BaseDistribution],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    seed: int,
    n_trees: int,
) -> npt.NDArray[np.float64]:
    """Raw main-effect shares of Optuna's fANOVA over encoded parameters."""
    encoded = [_encoded(distribution) for distribution in distributions]
    study = optuna.create_study(direction="minimize")
    for row, value in zip(x, y, strict=True):
        params = {
            name: int(v) if isinstance(d, CategoricalDistribution) else float(v)
            for name, v, d in zip(names, row, encoded, strict=True)
        }
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=params,
                distributions=dict(zip(names, encoded, strict=True)),
                value=float(value),
            )
        )
    evaluator = FanovaImportanceEvaluator(n_trees=n_trees, seed=seed)
    try:
        shares = evaluator.evaluate(study, params=names)
    except RuntimeError:  # "zero total variance in all trees": no parameter parts these rows
        return np.zeros(len(names))
    return np.array([shares[name] for name in names])


def _encoded(distribution: BaseDistribution) -> BaseDistribution:
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution(tuple(range(len(distribution.choices))))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return FloatDistribution(encode(distribution.low, distribution), encode(distribution.high, distribution))
