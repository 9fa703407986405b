"""Peers of the analysis, on the same trials: functions from a table and its study to shares of variance.

Their packages are the extra `trust`. An estimator whose package is missing is told and left out. A conditional
parameter's effects are those among its active trials, as in the analysis. Optuna's evaluators look at the parameters of
all trials only.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState
from trust_forest import forest_indices
from trust_truth import Names

from studies.analysis.axis import Array, Axis
from studies.analysis.table import TrialsTable

Shares = dict[Names, float]
N_NODES = 16  # Gauss-Legendre nodes of a continuous axis, for functions as smooth as a GP's components
METRIC = "value"
ONE_HOT = "_OH_PARAM_"  # what Ax writes between a parameter and the number of its choice


def optuna_fanova(_: TrialsTable, study: optuna.Study) -> Shares:
    return _importances(study, FanovaImportanceEvaluator(seed=0))


def optuna_ped_anova(_: TrialsTable, study: optuna.Study) -> Shares:
    return _importances(study, PedAnovaImportanceEvaluator())


def forest(table: TrialsTable, _: optuna.Study) -> Shares:
    def of(inside: TrialsTable) -> Shares:
        mains, pairs = forest_indices(inside.axes, inside.unit, inside.y, seed=0)
        return _named(inside.names, mains, pairs)

    return scoped(table, of)


def orthogonal_additive_gp(table: TrialsTable, _: optuna.Study) -> Shares:
    return scoped(table, _oak)


def ax_sobol(table: TrialsTable, study: optuna.Study) -> Shares:
    return scoped(table, lambda inside: _ax(inside, study))


def scoped(table: TrialsTable, indices: Callable[[TrialsTable], Shares]) -> Shares:
    """Return the indices over all trials, and those of conditional parameters among the trials that have them."""
    everywhere = [name for name in table.names if table.active([name]).all()]
    found = indices(table.over(table.active(everywhere), everywhere))
    for conditional in (name for name in table.names if name not in everywhere):
        rows = table.active([conditional])
        present = [name for name in table.names if table.active([name])[rows].all()]
        varied = [name for name in present if len(set(table.x[rows][:, table.names.index(name)])) > 1]
        inside = indices(table.over(rows, varied))
        found |= {names: share for names, share in inside.items() if conditional in names}
    return found


def _importances(study: optuna.Study, evaluator: Any) -> Shares:
    found = get_param_importances(study, evaluator=evaluator)
    return {(name,): float(share) for name, share in found.items()}


def _named(names: Names, mains: Array, pairs: Array) -> Shares:
    """Return shares (d,) and (d, d) by the parameters' names."""
    found: Shares = {(name,): float(share) for name, share in zip(names, mains, strict=True)}
    found |= {(names[i], names[j]): float(pairs[i, j]) for i, j in itertools.combinations(range(len(names)), 2)}
    return found


def _oak(table: TrialsTable) -> Shares:
    """Fit the GP by its marginal likelihood, and take the indices of its mean under the measure of the axes.

    Its components are orthogonal under the uniform measure, so what is left of a pair's means goes to its parameters.
    """
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models.additive_gp import OrthogonalAdditiveGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    torch.manual_seed(0)
    d = len(table.names)
    with _silence():
        model = OrthogonalAdditiveGP(torch.tensor(table.unit), torch.tensor(table.y)[:, None], second_order=d > 1)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))

        def components(points: Array) -> Array:
            with torch.no_grad():
                posterior = model.posterior(torch.tensor(points), infer_all_components=True)
                return np.asarray(posterior.mean.squeeze(-1).numpy())

        nodes, weights = zip(*(_nodes(axis) for axis in table.axes), strict=True)
        mains = []
        for i in range(d):
            effect = components(_at({i: nodes[i]}, d))[1 + i]
            mains.append(effect - weights[i] @ effect)
        pairs = {}
        for row, (i, j) in enumerate(itertools.combinations(range(d), 2)):
            points = _at({i: np.repeat(nodes[i], len(nodes[j])), j: np.tile(nodes[j], len(nodes[i]))}, d)
            joint = components(points)[1 + d + row].reshape(len(nodes[i]), len(nodes[j]))
            first, second = joint @ weights[j], weights[i] @ joint
            mean = float(weights[i] @ first)
            mains[i], mains[j] = mains[i] + first - mean, mains[j] + second - mean
            pairs[i, j] = float(weights[i] @ (joint - first[:, None] - second[None, :] + mean) ** 2 @ weights[j])
    variances = np.array([weight @ effect**2 for weight, effect in zip(weights, mains, strict=True)])
    total = max(float(variances.sum()) + sum(pairs.values()), 1e-300)
    shares = np.zeros((d, d))
    for (i, j), variance in pairs.items():
        shares[i, j] = variance / total
    return _named(table.names, variances / total, shares)


def _nodes(axis: Axis) -> tuple[Array, Array]:
    """Return positions in [0, 1] and weights of sum 1."""
    if axis.levels:
        return axis.nodes()
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    return (nodes + 1) / 2, weights / 2


def _at(columns: dict[int, npt.NDArray[np.float64]], d: int) -> Array:
    """Return points in [0, 1] with these columns, and the middle in all others: (points, d)."""
    points = np.full((len(next(iter(columns.values()))), d), 0.5)
    for i, column in columns.items():
        points[:, i] = column
    return points


def _ax(table: TrialsTable, study: optuna.Study) -> Shares:
    """Give Ax the trials as a user would, and read its card of second-order Sobol indices.

    Where trials were pruned it gets all reports with their rungs, of which it makes a feature of its model. The card
    has the sign of a parameter's trend, which is dropped, and one column for each choice.
    """
    import torch

    torch.set_num_threads(1)
    curves = {trial.number: trial for trial in study.get_trials(deepcopy=False)} if table.policy != "final" else {}
    with _silence():
        from ax.analysis.plotly.sensitivity import SensitivityAnalysisPlot
        from ax.api.client import Client

        client = Client(random_seed=0)
        client.configure_experiment(parameters=[_ax_parameter(axis) for axis in table.axes])
        client.configure_optimization(objective=METRIC if table.maximize else f"-{METRIC}")
        client.configure_generation_strategy(method="fast", initialization_budget=1)
        for row, number in enumerate(table.numbers.tolist()):
            point = {axis.name: axis.decode(table.x[row, i]) for i, axis in enumerate(table.axes)}
            index = client.attach_trial(point)
            trial = curves.get(number)
            if trial is None:
                client.complete_trial(index, {METRIC: float(table.y[row])})
                continue
            for rung, value in trial.intermediate_values.items():
                client.attach_data(index, {METRIC: value}, progression=rung)
            if trial.state == TrialState.COMPLETE:
                client.complete_trial(index)
            else:
                client.mark_trial_early_stopped(index)
        (card,) = client.compute_analyses([SensitivityAnalysisPlot(METRIC, order="second", top_k=None)], display=False)
    return _of_card(dict(zip(card.df["parameter_name"], card.df["sensitivity"], strict=True)), table.names)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the peers' warnings and logs off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _ax_parameter(axis: Axis) -> Any:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if axis.kind == "continuous":
        bounds = (axis.decode(axis.low), axis.decode(axis.high))
        scaling = "linear" if axis.scale == "linear" else "log"
        return RangeParameterConfig(name=axis.name, bounds=bounds, parameter_type="float", scaling=scaling)
    kind = {int: "int", float: "float", str: "str", bool: "bool"}[type(axis.values[0])]
    ordered = axis.kind != "categorical"
    return ChoiceParameterConfig(name=axis.name, values=list(axis.values), parameter_type=kind, is_ordered=ordered)


def _of_card(card: dict[str, float], names: Names) -> Shares:
    """Return the shares of a card, those of a parameter's choices summed."""
    shares: Shares = {}
    for written, share in card.items():
        columns = [column.partition(ONE_HOT)[0] for column in written.split(" & ")]
        own = tuple(name for name in names if name in columns)
        shares[own] = shares.get(own, 0.0) + (abs(share) if " & " not in written else share)
    return {own: max(0.0, share) for own, share in shares.items()}
