"""The table of a scientific parameter: time, convergence, accuracy and memory of each value at its best.

There are two views of the same trials. *Tuned* has each value in its own best cell. *Fixed* has all nuisance parameters
at the config's own values, as textbooks do it. The table says so if the two disagree: if the difference itself changes
beyond what the seeds explain. A difference shown in one view alone is no disagreement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.conditions import at_once
from studies.analysis.levels import SHARE_MARGIN
from studies.analysis.same_runs import same_runs
from studies.analysis.values.cross_fitted import (
    Cell,
    CrossFitted,
    DifferenceChange,
    changes,
    cross_fit,
)
from studies.analysis.values.row import DesignedStudy, ValueRow, place, row_of
from studies.analysis.values.standing import Ranking, StandingWord, rank
from studies.config.defaults import defaults_of, meets
from studies.config.parameter import Parameter, Value, label_of
from studies.config.space import SearchSpace
from studies.records.objectives import by_first
from studies.schema import is_bounded

View = Literal["tuned", "fixed"]
ENOUGH_RUNGS = 10  # validations a run, below which a time of convergence is coarse


@dataclass(frozen=True, slots=True)
class ValueTable:
    """The rows of one `view`, in the order of the parameter's values.

    name: the parameter, or several crossed
    fitted: the rows' values by seed
    n_seeds: a cell counts once it has all of them
    is_plain: no nuisance parameter could have been tuned or left at its default
    """

    name: str
    metric: str
    view: View
    rows: tuple[ValueRow, ...]
    ranking: Ranking
    is_honest: bool
    fitted: tuple[CrossFitted | None, ...] = ()
    n_seeds: int | None = None
    is_plain: bool = False

    @property
    def best(self) -> ValueRow | None:
        """The row with the best mean."""
        return None if self.ranking.best is None else self.rows[self.ranking.best]

    @property
    def worse(self) -> list[ValueRow]:
        """The rows that are surely worse than the best, the worst first."""
        return sorted(self._with("worse"), key=lambda row: row.standing.behind, reverse=True)

    @property
    def equivalent(self) -> list[ValueRow]:
        """The rows that are behind the best by less than the margin."""
        return self._with("equivalent")

    @property
    def not_shown(self) -> list[ValueRow]:
        """The rows that may be worse or equivalent."""
        return self._with("not_shown")

    def _with(self, word: StandingWord) -> list[ValueRow]:
        return [row for row in self.rows if row.standing.word == word]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two values that compare differently in the two views.

    `fixed` and `tuned` are 1 (`first` is greater), 0 (not shown) or -1. `change` goes from the defaults to tuned.
    Either both views show a difference, in opposite directions, or the change itself is shown.
    """

    first: str
    second: str
    fixed: int
    tuned: int
    change: DifferenceChange


@dataclass(frozen=True, slots=True)
class ValueTables:
    """The tables of a designed study on its scientific parameter.

    `tuned` is None if no nuisance parameter was varied. `fixed` is None if no cell has all of them at the config's
    values.
    """

    tuned: ValueTable | None
    fixed: ValueTable | None
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]

    @property
    def main(self) -> ValueTable:
        """The table that a reader is shown first."""
        table = self.tuned or self.fixed
        assert table is not None
        return table


def value_tables(trials: Sequence[FrozenTrial], study: DesignedStudy) -> ValueTables | None:
    """Return the tables of a designed study from its finished `trials`.

    None without a scientific parameter and without any value. If seeds do not tell trials apart, the first of each cell
    stands for it.
    """
    trials = by_first(trials)
    if same_runs(trials):
        trials = [trial for trial in trials if trial.user_attrs.get(schema.REPLICATE) == 0]
        study = replace(study, replicates=1)
    names = study.scientific
    if not names or not any(trial.value is not None for trial in trials):
        return None
    groups: dict[tuple[Value, ...], list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        groups[tuple(trial.params.get(name) for name in names)].append(trial)
    order = sorted(
        groups, key=lambda key: [place(study.space[name], value) for name, value in zip(names, key, strict=True)]
    )
    others = [parameter for parameter in study.space if parameter.name not in names]
    fixed_groups = {key: _at_defaults(groups[key], others, study, dict(zip(names, key, strict=True))) for key in order}
    fixed = _table("fixed", names, order, fixed_groups, study) if any(fixed_groups.values()) else None
    tuned = _table("tuned", names, order, groups, study) if others else None
    if tuned is None and fixed is None:
        return None
    disagreements = tuple(_disagreements(fixed, tuned)) if fixed is not None and tuned is not None else ()
    return ValueTables(tuned, fixed, disagreements, tuple(_notes(trials, study, tuned, fixed)))


def cells_by_value(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, dict[Cell, dict[int, float]]]:
    """Return the complete `trials` as scientific value → cell of the nuisance parameters → training seed → value."""
    groups: dict[tuple[Value, ...], list[FrozenTrial]] = defaultdict(list)
    for trial in by_first(trials):
        groups[tuple(trial.params.get(name) for name in names)].append(trial)
    return {label_of(key, among=groups): _values(_cells(group, names)) for key, group in groups.items()}


def _values(cells: Mapping[Cell, Mapping[int, FrozenTrial]]) -> dict[Cell, dict[int, float]]:
    return {
        cell: {seed: trial.value for seed, trial in by_seed.items() if trial.value is not None}
        for cell, by_seed in cells.items()
    }


def _at_defaults(
    trials: Sequence[FrozenTrial], others: Sequence[Parameter], study: DesignedStudy, point: Mapping[str, Value]
) -> list[FrozenTrial]:
    """Return the trials with nuisance parameters at the config's own values, once the scientific value is set."""
    config = study.space.apply(study.config, {name: value for name, value in point.items() if value is not None})
    defaults = defaults_of(SearchSpace(tuple(others)), config)
    found = []
    for trial in trials:
        active = {
            parameter.name: trial.params[parameter.name] for parameter in others if parameter.name in trial.params
        }
        if all(name in defaults and meets(defaults[name], value) for name, value in active.items()):
            found.append(trial)
    return found


def _table(
    view: View,
    names: Sequence[str],
    order: Sequence[tuple[Value, ...]],
    groups: Mapping[tuple[Value, ...], Sequence[FrozenTrial]],
    study: DesignedStudy,
) -> ValueTable:
    seeds = list(range(study.replicates))
    cells = {key: _cells(groups[key], names) for key in order}
    values = {key: _values(found) for key, found in cells.items()}
    fitted = [cross_fit(values[key], seeds=seeds, maximize=study.maximize) for key in order]
    ranking = rank(fitted, maximize=study.maximize, margin=_margin(study, fitted))
    rows = tuple(
        row_of(label_of(key, among=order), cells[key], found, standing, groups[key], study)
        for key, found, standing in zip(order, fitted, ranking.standings, strict=True)
    )
    return ValueTable(
        name=" × ".join(names),
        metric=study.metric,
        view=view,
        rows=rows,
        ranking=ranking,
        is_honest=all(found.is_honest for found in fitted if found is not None),
        fitted=tuple(fitted),
        n_seeds=study.replicates,
        is_plain=study.varies_nuisance and len(names) == len(list(study.space)),
    )


def _margin(study: DesignedStudy, fitted: Sequence[CrossFitted | None]) -> float | None:
    """Return the difference that does not matter. Only an accuracy or an error rate has one by its kind."""
    values = [value for found in fitted if found is not None for value in found.values.values()]
    if study.margin is not None:
        return study.margin
    return SHARE_MARGIN if is_bounded(study.metric, values) else None


def _cells(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[Cell, dict[int, FrozenTrial]]:
    """Return cell → seed → its complete trial. A cell is the nuisance parameters' values."""
    cells: dict[Cell, dict[int, FrozenTrial]] = defaultdict(dict)
    for trial in sorted(trials, key=lambda trial: trial.number):
        cell = tuple((name, value) for name, value in sorted(trial.params.items()) if name not in names)
        if trial.state == TrialState.COMPLETE:
            cells[cell][int(trial.user_attrs.get(schema.REPLICATE, 0))] = trial
    return cells


def _disagreements(fixed: ValueTable, tuned: ValueTable) -> Iterator[Disagreement]:
    for change in changes(fixed.fitted, tuned.fitted):
        i, j = change.first, change.second
        before, after = fixed.ranking.verdict(i, j), tuned.ranking.verdict(i, j)
        is_reversed = before * after < 0
        if is_reversed or (before != after and change.is_shown):
            yield Disagreement(tuned.rows[i].label, tuned.rows[j].label, before, after, change)


def _notes(
    trials: Sequence[FrozenTrial], study: DesignedStudy, tuned: ValueTable | None, fixed: ValueTable | None
) -> Iterator[str]:
    if len(trials) < study.n_trials:
        yield f"{len(trials)} of {study.n_trials} trainings are finished"
    yield from _on_times(trials)
    yield f"{study.metric} and test are means over the seeds. Times, convergence and memory are medians"
    if study.n_rungs < ENOUGH_RUNGS:
        yield (
            f"{study.n_rungs} validations a run make the time of convergence coarse: {ENOUGH_RUNGS} or more are better"
        )
    shown = tuned or fixed
    assert shown is not None
    if any(len(row.judged) > 1 for row in shown.rows):
        yield (
            "two values of a nuisance parameter in a row are what the two halves of the seeds chose, each half judged "
            "by the other's choice. Times and memory are of the cell that is best by all seeds (best_cell in table.csv)"
        )
    limits = sorted({name for row in shown.rows for name in row.at_limit})
    if limits:
        rows = ", ".join(row.label for row in shown.rows if row.at_limit)
        yield f"for {rows} the best {' and '.join(limits)} is at the end of what was tried: it may be better beyond"
    if not shown.is_honest:
        yield "one seed a cell: the best is judged by the value that chose it, so it is optimistic (replicates=5)"
    lost = [f"{row.label} ({row.n_lost})" for row in shown.rows if row.n_lost]
    if lost:
        yield f"trainings that diverged, failed or were pruned: {', '.join(lost)}. Their cells are never chosen"
    if tuned is not None and fixed is None:
        yield "no cell has all nuisance parameters at the config's values, so nothing is said of mode=fixed"


def _on_times(trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Yield a note on how the times of `trials` compare."""
    devices = sorted({str(trial.user_attrs[schema.DEVICE]) for trial in trials if schema.DEVICE in trial.user_attrs})
    hosts = {
        str(trial.user_attrs[schema.WORKER]).partition(":")[0] for trial in trials if schema.WORKER in trial.user_attrs
    }
    if len(devices) > 1 or len(hosts) > 1:
        yield f"times come from {max(len(devices), len(hosts))} devices or machines: do not compare them"
    elif devices:
        alive = [trial for trial in trials if trial.state != TrialState.FAIL]  # a dead worker is noticed late
        most = at_once(alive)
        beside = f", up to {most} trainings at the same time" if most > 1 else ""
        yield f"times are wall clock on {devices[0]}, all values interleaved{beside}, validations included"
