"""The whole analysis of a study: what has to be tuned, effects, designed experiment, ridges, and advice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from studies.analysis.advice import advice
from studies.analysis.axis import Array
from studies.analysis.designed.factorial import Anova, anova
from studies.analysis.effects import Effect, effects_of, fits_of
from studies.analysis.fit import Fit
from studies.analysis.law.ridge import Ridge, ridge
from studies.analysis.screen import ScreenRow, screen
from studies.analysis.table import TrialsTable
from studies.analysis.threads import one_thread
from studies.analysis.training.training import TrainingAnalysis, training_of
from studies.analysis.tuning.one_at_a_time import TuningCost, tuning_cost
from studies.analysis.tuning.tolerance import Tolerance, tolerance_of
from studies.analysis.tuning.tunability import Tunability, tunability
from studies.errors import BadInput, Problem, nearest

LEARNING_RATES = frozenset({"lr", "learning_rate"})
BATCH_SIZES = frozenset({"batch_size", "batch", "train_batch_size"})

WINDOW_DECADES = 1.0  # around the ridge
LINEAR_WINDOW = 1 / 3  # of the range, where the tuned parameter's scale is linear

Law = tuple[str, str]  # the parameter that is tuned, and the one that its optimum follows


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known after a study.

    fits: the first is over all trials, the others over those where conditional parameters were active
    tolerance: the difference in the metric that does not matter
    tunability: the greatest loss first
    anova: None unless the trials form a grid
    tuning: None unless something was fitted
    training: None unless trials fall into two groups
    """

    table: TrialsTable
    fits: tuple[Fit, ...]
    tolerance: Tolerance
    tunability: tuple[Tunability, ...]
    effects: tuple[Effect, ...]
    anova: Anova | None
    ridges: tuple[Ridge, ...]
    tuning: TuningCost | None
    training: TrainingAnalysis | None
    screen: tuple[ScreenRow, ...]
    advice: tuple[str, ...]
    budget_unit: str | None
    seed: int

    @property
    def whole(self) -> Fit:
        """The fit over all trials."""
        return self.fits[0]


@one_thread
def analyse(
    table: TrialsTable,
    *,
    seed: int,
    metric: str = "",
    law: Sequence[Law] | None = None,
    budget_unit: str | None = None,
    defaults: Mapping[str, Any] = MappingProxyType({}),
    tolerance: float | None = None,
) -> Analysis:
    """Return everything that `table` tells. `law` names pairs of numeric parameters. None: learning rate × batch size.

    `defaults` are parameters' values if nobody tunes them. `tolerance` is the difference in the metric that does not
    matter, None if nobody gave one. The name of the `metric` then tells whether it is an accuracy or an error rate.

    Raises `BadInput` where a law names an unknown or a categorical parameter.
    """
    laws = _usual_laws(table) if law is None else _checked(table, law)
    fits = fits_of(table, seed=seed)
    whole, least = fits[0], tolerance_of(table, metric=metric, given=tolerance)
    tuning = None
    if whole.sobol is not None:
        tuning = tuning_cost(whole.sobol.surface, n_trials=whole.n_trials, maximize=table.maximize, seed=seed)
    return Analysis(
        table=table,
        fits=tuple(fits),
        tolerance=least,
        tunability=tunability(fits, defaults=defaults, tolerance=least.value, seed=seed, metric=metric),
        effects=tuple(effects_of(fits, seed=seed)),
        anova=anova_of(whole.whole) if table.is_grid else None,
        ridges=tuple(_ridge(table, tuned, followed, budget_unit) for tuned, followed in laws),
        tuning=tuning,
        training=training_of(table, seed=seed),
        screen=tuple(screen(whole.table.axes, whole.table.x, whole.table.loss, seed=seed)),
        advice=advice(whole.evidence, whole.verdict),
        budget_unit=budget_unit,
        seed=seed,
    )


def _usual_laws(table: TrialsTable) -> list[Law]:
    """Return learning rate × batch size, under whatever prefix, if both are numbers."""
    numeric = [axis.name for axis in table.axes if axis.kind != "categorical"]
    rates = [name for name in numeric if name.rpartition(".")[2].lower() in LEARNING_RATES]
    batches = [name for name in numeric if name.rpartition(".")[2].lower() in BATCH_SIZES]
    return [(rate, batch) for rate in rates for batch in batches]


def _checked(table: TrialsTable, laws: Sequence[Law]) -> list[Law]:
    problems = []
    for name in dict.fromkeys(name for pair in laws for name in pair):
        if name in table.dropped:
            continue
        if name not in table.names:
            problems.append(Problem(f"analysis.law.{name}", "is no parameter of the study", nearest(name, table.names)))
        elif table.axes[table.names.index(name)].kind == "categorical":
            problems.append(Problem(f"analysis.law.{name}", "is categorical", "name two numeric parameters"))
    if problems:
        raise BadInput(problems)
    return [pair for pair in laws if all(name in table.names for name in pair)]


def _ridge(table: TrialsTable, tuned: str, followed: str, budget_unit: str | None) -> Ridge:
    """Fit the ridge over the trials in which both are active. Other parameters count where they are always active
    there."""
    inside = table.over(table.active([tuned, followed]), table.names)
    names = [name for name in inside.names if name not in (tuned, followed) and inside.active([name]).all()]
    others = [_columns(inside, name) for name in names]
    axes = [inside.axes[inside.names.index(name)] for name in (tuned, followed)]
    is_linear = axes[0].scale == "linear"
    return ridge(
        _decades(inside, tuned),
        follows=_decades(inside, followed),
        loss=inside.loss,
        names=(tuned, followed),
        others=np.column_stack(others) if others else None,
        budget_unit=budget_unit,
        window=LINEAR_WINDOW * (axes[0].high - axes[0].low) if is_linear else WINDOW_DECADES,
        power_law=all(axis.scale != "linear" for axis in axes),
    )


def _decades(table: TrialsTable, name: str) -> Array:
    """Return a parameter's values as log10, or as they are on a linear scale."""
    i = table.names.index(name)
    axis = table.axes[i]
    factor = math.log10(2) if axis.scale == "log2" else 1.0
    return np.asarray(table.x[:, i] * factor)


def _columns(table: TrialsTable, name: str) -> Array:
    """Return a nuisance parameter as columns: its position, or an indicator a choice but the first."""
    i = table.names.index(name)
    axis = table.axes[i]
    if axis.kind != "categorical":
        return axis.unit(table.x[:, i])[:, None]
    return np.asarray(table.x[:, i, None] == np.arange(1, len(axis.values))[None, :], dtype=float)


def anova_of(table: TrialsTable) -> Anova:
    """Analyse the variance of a grid's trials, with training seeds as blocks if all are known."""
    levels = {axis.name: [axis.decode(x) for x in table.x[:, i]] for i, axis in enumerate(table.axes)}
    declared = all(replicate is not None for replicate in table.replicates)
    return anova(levels, table.y, block=list(table.replicates) if declared and len(set(table.replicates)) > 1 else None)
