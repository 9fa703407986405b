"""One row of the table of a scientific parameter: what its trials show of time, convergence, accuracy and memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.estimate import Estimate
from studies.analysis.paired import mean
from studies.analysis.values.cross_fitted import Cell, CrossFitted
from studies.analysis.values.standing import RowStanding
from studies.config.parameter import Parameter, Value
from studies.config.space import SearchSpace
from studies.records.objectives import convergence, rungs_of
from studies.schema import bounds_of

VALIDATION = re.compile(r"(?<![a-zA-Z])(validation|valid|eval|val)(?![a-z])")  # in a metric's name
SINGLE = 2.0**-22  # relative: metrics come in single precision, whose last digit is rounding


@dataclass(frozen=True, slots=True)
class DesignedStudy:
    """What the tables of a designed study rest on, beside its trials."""

    space: SearchSpace
    config: Any  # the composed config, into which a point is written
    metric: str
    maximize: bool
    tolerance: float  # a run has converged once it stays this near to its final value
    replicates: int
    n_trials: int
    n_rungs: int
    has_epochs: bool  # each rung is an epoch
    varies_nuisance: bool  # False: nuisance parameters stay at the config's own values
    margin: float | None = None  # a difference that does not matter; None: that of the metric's kind

    @property
    def scientific(self) -> tuple[str, ...]:
        """The names of the parameters whose values are compared."""
        return tuple(parameter.name for parameter in self.space if parameter.role == "scientific")


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value. A number that does not exist is None.

    nuisance: the cell that is best by all seeds
    metric, test: means over seeds that had no part in choosing their cell, from the cells `judged`
    seconds and convergence, memory: medians over the seeds in `nuisance`, in seconds and MB
    at_limit: nuisance parameters with their best level at the first or last that was tried
    judged: several cells if the halves of the seeds choose differently
    """

    label: str
    nuisance: Mapping[str, Value]
    n: int
    n_lost: int
    standing: RowStanding
    metric: Estimate | None = None
    test: Estimate | None = None
    seconds: float | None = None
    convergence_seconds: float | None = None
    convergence_epochs: float | None = None
    convergence_samples: float | None = None
    peak_memory_mb: float | None = None
    at_limit: tuple[str, ...] = ()
    judged: tuple[Mapping[str, Value], ...] = ()


def row_of(
    label: str,
    cells: Mapping[Cell, Mapping[int, FrozenTrial]],
    found: CrossFitted | None,
    standing: RowStanding,
    trials: Sequence[FrozenTrial],
    study: DesignedStudy,
) -> ValueRow:
    """Return the row of one value, with its complete trials by seed in `cells`, and all its `trials`."""
    n_lost = sum(trial.state != TrialState.COMPLETE for trial in trials)
    if found is None:
        return ValueRow(label, {}, 0, n_lost, standing)
    chosen = list(cells[found.cell].values())
    nuisance: dict[str, Value] = dict(found.cell)  # type: ignore[call-overload]
    return ValueRow(
        label=label,
        nuisance=nuisance,
        n=len(found.values),
        n_lost=n_lost,
        standing=standing,
        metric=_with_ends(study.metric, list(found.values.values()), found.widened),
        test=_test([cells[cell][seed] for seed, cell in found.judged.items()], study.metric),
        seconds=_median(chosen, lambda trial: trial.user_attrs.get(schema.SECONDS)),
        convergence_seconds=_median(chosen, lambda trial: _at_convergence(trial, schema.RUNG_SECONDS, study)),
        convergence_epochs=_median(chosen, lambda trial: _convergence_epochs(trial, study)),
        convergence_samples=_median(chosen, lambda trial: _at_convergence(trial, schema.SAMPLES_SEEN, study)),
        peak_memory_mb=_median(chosen, lambda trial: trial.user_attrs.get(schema.PEAK_MEMORY_MB)),
        at_limit=tuple(name for name, value in nuisance.items() if _is_at_limit(study.space[name], value)),
        judged=_distinct(found, study.space),
    )


def place(parameter: Parameter, value: Value) -> float:
    """Return the place of a value among its parameter's levels. An inactive one comes first."""
    levels = list(parameter.levels or ())
    return levels.index(value) if value in levels else -1


def test_metric(metric: str) -> str:
    """Return the name under which the module logs the study's metric in testing: `val/accuracy` → `test/accuracy`."""
    return VALIDATION.sub("test", metric, count=1)


def _test(trials: Sequence[FrozenTrial], metric: str) -> Estimate | None:
    name = test_metric(metric)
    found = [trial.user_attrs.get(schema.TEST, {}).get(name) for trial in trials]
    return _with_ends(name, found) if found and all(value is not None for value in found) else None


def _with_ends(name: str, values: Sequence[float], widened: float = 1.0) -> Estimate:
    """Return the mean of a metric's values, its interval within the known bounds.

    Values that are all equal tell nothing of their variation, so they have no interval.
    """
    found, (low, high) = mean(values, widened=widened), bounds_of(name, values)
    is_flat = max(values) - min(values) <= SINGLE * max(map(abs, values))
    return replace(found, lo=None, hi=None) if is_flat else found.within(low, high)


def _distinct(found: CrossFitted, space: SearchSpace) -> tuple[Mapping[str, Value], ...]:
    """Return the cells that the halves of the seeds choose, in the order of their levels."""
    cells: list[dict[str, Value]] = [dict(cell) for cell in set(found.judged.values())]  # type: ignore[call-overload]
    return tuple(sorted(cells, key=lambda cell: [(name, place(space[name], cell[name])) for name in sorted(cell)]))


def _median(trials: Sequence[FrozenTrial], number: Any) -> float | None:
    found = [value for value in map(number, trials) if value is not None]
    return float(median(found)) if found else None


def _converged(trial: FrozenTrial, study: DesignedStudy) -> int | None:
    """Return the rung at which the metric came near its final value to stay."""
    return convergence(rungs_of(trial), tolerance=study.tolerance)


def _at_convergence(trial: FrozenTrial, key: str, study: DesignedStudy) -> float | None:
    """Return the entry there of a list with one number a rung."""
    rung, numbers, rungs = _converged(trial, study), trial.user_attrs.get(key), sorted(rungs_of(trial))
    if rung is None or not isinstance(numbers, list) or len(numbers) != len(rungs):
        return None
    return float(numbers[rungs.index(rung)])


def _convergence_epochs(trial: FrozenTrial, study: DesignedStudy) -> float | None:
    """Return the epoch of convergence, if each rung is an epoch."""
    rung = _converged(trial, study)
    return float(rung) if rung is not None and study.has_epochs else None


def _is_at_limit(parameter: Parameter, value: Value) -> bool:
    levels = parameter.levels or ()
    return parameter.type != "categorical" and len(levels) > 2 and value in (levels[0], levels[-1])
