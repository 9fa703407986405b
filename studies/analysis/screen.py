"""Optuna's own importance measures on encoded parameters: a local screen, one parameter at a time, and its fANOVA.

Their limits, measured over 20 seeds at 150 or 200 random trials:

- `ped-anova` (Watanabe, Bansal, Hutter, IJCAI 2023; the dashboard's importance panel) compares the place of the best
  tenth of the trials with that of all, parameter by parameter. It answers "what gets into the best tenth", not "what
  explains the loss". If the learning rate explains 98 % of a loss by spoiling its lower half, it gives the learning
  rate .16–.46 and the other parameter the rest. It cannot see pairs: on (x1 − ½)(x2 − ½) either parameter is above the
  null in 4 of 10 seeds, and nothing says that it takes both. On a ridge cos 2π(x1 − x2) each parameter alone is spread
  evenly among the best, and it reports nothing. Raw, it is no share of variance, and small: .03 is much.
- `fanova` (Hutter, Hoos, Leyton-Brown, ICML 2014) is a share of a random forest's variance, main effects only. On that
  pure pair the truth is 0, and the forest invents .09 for each (up to .22). That is not more than for shuffled values
  (.23), but normalised it reads .46 and .45. With 100 trials one in seven lies above the null. Optuna's version
  integrates log parameters over the linear scale. Here it sees the encoded ones, and is right (.982–.986 of that .979).

Normalised numbers sum to 1 even if there is nothing to see. So raw stands beside them, and beside that the null: the
result of the same computation for shuffled values. Forests are cut at depth 8: 2–8 times faster at 200–1,000 trials,
and within .01 of Optuna's default depth on a sum with a pair.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.analysis.axis import Array, Axis
from studies.analysis.levels import MIN_FITTED_TRIALS

Method = Literal["ped-anova", "fanova"]

METHODS: tuple[Method, ...] = ("ped-anova", "fanova")
N_TREES = 20
MAX_DEPTH = 8
N_SHUFFLES = 20
EXPECTED_WARNINGS = (
    "Argument ``normalize`` is an experimental feature",
    "PedAnovaImportanceEvaluator computes the importances of params to achieve low",  # low is better here
    "Target and region quantiles select the same set of trials",  # nine of ten tie: all importances are 0, as they are
)


@dataclass(frozen=True, slots=True)
class ScreenRow:
    """What one of Optuna's measures says of one parameter: `raw` in its own unit, `normalised` to sum to 1.

    `null` is the 95th percentile of `raw` over shuffled values: what lies below it is noise.
    """

    method: Method
    name: str
    raw: float
    normalised: float
    null: float
    above_null: bool


def screen(axes: Sequence[Axis], x: Array, y: Array, *, seed: int) -> list[ScreenRow]:
    """Return both measures for positions `x` (n, d) on the axes and values `y` (n,). Lower values are better.

    Rows of PED-ANOVA come first, in each method the largest first. Parameters that never varied are left out. Empty
    with fewer than 10 trials or a constant value.
    """
    varied = [i for i in range(len(axes)) if np.ptp(x[:, i]) > 0] if len(y) else []
    if len(y) < MIN_FITTED_TRIALS or np.ptp(y) == 0 or not varied:
        return []
    study = _study([axes[i].name for i in varied], [_column(axes[i], x[:, i]) for i in varied])
    values = (y - y.min()) / np.ptp(y)
    return [row for method in METHODS for row in _rows(method, study, values, seed=seed)]


def _column(axis: Axis, x: Array) -> tuple[list[float], BaseDistribution]:
    """Return a parameter's values on [0, 1] for Optuna, with their distribution. Trees work in single precision."""
    if axis.kind == "categorical":
        return [round(v - axis.low) for v in x], CategoricalDistribution(tuple(range(round(axis.high - axis.low) + 1)))
    return axis.unit(x).tolist(), FloatDistribution(0.0, 1.0)


def _study(names: Sequence[str], columns: Sequence[tuple[list[float], BaseDistribution]]) -> optuna.Study:
    """Return trials with values of no interest, for measures take their values by trial number."""
    distributions = {name: distribution for name, (_, distribution) in zip(names, columns, strict=True)}
    points = zip(*(values for values, _ in columns), strict=True)
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            params=dict(zip(names, point, strict=True)),
            distributions=distributions,
            value=0.0,
        )
        for point in points
    )
    return study


def _rows(method: Method, study: optuna.Study, values: Array, *, seed: int) -> list[ScreenRow]:
    raw = _importances(method, study, values, seed=seed)
    rng = np.random.default_rng(seed)
    shuffled = [_importances(method, study, rng.permutation(values), seed=seed) for _ in range(N_SHUFFLES)]
    total = sum(raw.values()) or 1.0
    rows = []
    for name, value in raw.items():
        null = float(np.percentile([one[name] for one in shuffled], 95))
        rows.append(ScreenRow(method, name, value, value / total, null, above_null=value > null))
    return sorted(rows, key=lambda row: -row.raw)


def _importances(method: Method, study: optuna.Study, values: Array, *, seed: int) -> dict[str, float]:
    """Return raw importances of the study's parameters for these values, the lower the better."""
    names = sorted(study.trials[0].params)

    def value_of(trial: FrozenTrial) -> float:
        return float(values[trial.number])

    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            found = get_param_importances(
                study, evaluator=_evaluator(method, seed=seed), params=names, target=value_of, normalize=False
            )
        except RuntimeError:  # "zero total variance in all trees": no parameter parts these trials
            return dict.fromkeys(names, 0.0)
    return {name: float(found[name]) for name in names}


def _evaluator(method: Method, *, seed: int) -> PedAnovaImportanceEvaluator | FanovaImportanceEvaluator:
    if method == "ped-anova":
        return PedAnovaImportanceEvaluator()
    return FanovaImportanceEvaluator(n_trees=N_TREES, max_depth=MAX_DEPTH, seed=seed)
