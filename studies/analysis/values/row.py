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
from studies.analysis.values.isolation import Cell, Isolated, RowStanding
from studies.config.parameter import Parameter, Value
from studies.config.settings import StudySettings
from studies.records.objectives import convergence, rungs_of
from studies.schema import bounds_of

VALIDATION = re.compile(r"(?<![a-zA-Z])(validation|valid|eval|val)(?![a-z])")  # in a metric's name
SINGLE = 2.0**-22  # relative: metrics come in single precision, whose last digit is rounding


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value. Times in seconds, memory in MB; times, convergence and memory are medians over the seeds in
    `nuisance`, the cell that is best by all seeds. `metric` and `test` are means over seeds that had no part in
    choosing their cell; they come from the cells `judged`: several where the halves of the seeds choose differently.
    Their ends are None where all values are equal. None where there is no number. `at_limit` names nuisance parameters
    whose best level is the first or last that was tried."""

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
    found: Isolated | None,
    standing: RowStanding,
    trials: Sequence[FrozenTrial],
    settings: StudySettings,
) -> ValueRow:
    """The row of one value: `cells` are its complete trials by seed, `found` which of them count, `trials` all."""
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
        metric=_with_ends(settings.objective.metric, list(found.values.values()), found.widened),
        test=_test([cells[cell][seed] for seed, cell in found.judged.items()], settings),
        seconds=_median(chosen, lambda trial: trial.user_attrs.get(schema.SECONDS)),
        convergence_seconds=_median(chosen, lambda trial: _at_convergence(trial, schema.RUNG_SECONDS, settings)),
        convergence_epochs=_median(chosen, lambda trial: _convergence_epochs(trial, settings)),
        convergence_samples=_median(chosen, lambda trial: _at_convergence(trial, schema.SAMPLES_SEEN, settings)),
        peak_memory_mb=_median(chosen, lambda trial: trial.user_attrs.get(schema.PEAK_MEMORY_MB)),
        at_limit=tuple(name for name, value in nuisance.items() if _is_at_limit(settings.space[name], value)),
        judged=_distinct(found, settings),
    )


def place(settings: StudySettings, name: str, value: Value) -> float:
    """Where a value stands among its parameter's levels; an inactive one first."""
    levels = list(settings.space[name].levels or ())
    return levels.index(value) if value in levels else -1


def test_metric(settings: StudySettings) -> str:
    """The name under which the module logs the study's metric in testing: `val/accuracy` → `test/accuracy`."""
    return VALIDATION.sub("test", settings.objective.metric, count=1)


def _test(trials: Sequence[FrozenTrial], settings: StudySettings) -> Estimate | None:
    name = test_metric(settings)
    found = [trial.user_attrs.get(schema.TEST, {}).get(name) for trial in trials]
    return _with_ends(name, found) if found and all(value is not None for value in found) else None


def _with_ends(name: str, values: Sequence[float], widened: float = 1.0) -> Estimate:
    """The mean of a metric's values, its interval within the bounds that are known; values that are all equal tell
    nothing of how they vary, so it has no ends then."""
    found, (low, high) = mean(values, widened=widened), bounds_of(name, values)
    is_flat = max(values) - min(values) <= SINGLE * max(map(abs, values))
    return replace(found, lo=None, hi=None) if is_flat else found.within(low, high)


def _distinct(found: Isolated, settings: StudySettings) -> tuple[Mapping[str, Value], ...]:
    """The cells that the halves of the seeds choose, in the order of their levels."""
    cells: list[dict[str, Value]] = [dict(cell) for cell in set(found.judged.values())]  # type: ignore[call-overload]
    return tuple(sorted(cells, key=lambda cell: [(name, place(settings, name, cell[name])) for name in sorted(cell)]))


def _median(trials: Sequence[FrozenTrial], number: Any) -> float | None:
    found = [value for value in map(number, trials) if value is not None]
    return float(median(found)) if found else None


def _converged(trial: FrozenTrial, settings: StudySettings) -> int | None:
    """The rung at which the metric came near its final value to stay."""
    return convergence(rungs_of(trial), tolerance=settings.objective.tolerance)


def _at_convergence(trial: FrozenTrial, key: str, settings: StudySettings) -> float | None:
    """What a list with one number a rung holds there."""
    rung, numbers, rungs = _converged(trial, settings), trial.user_attrs.get(key), sorted(rungs_of(trial))
    if rung is None or not isinstance(numbers, list) or len(numbers) != len(rungs):
        return None
    return float(numbers[rungs.index(rung)])


def _convergence_epochs(trial: FrozenTrial, settings: StudySettings) -> float | None:
    """Each epoch is a rung."""
    rung = _converged(trial, settings)
    return float(rung) if rung is not None and settings.budget.unit == "epochs" else None


def _is_at_limit(parameter: Parameter, value: Value) -> bool:
    levels = parameter.levels or ()
    return parameter.type != "categorical" and len(levels) > 2 and value in (levels[0], levels[-1])
