"""The trials table: one row a trial, with its encoded parameters, its value and where both come from.

Only trials that ended well have a value of their own. Where more than a tenth were pruned, those alone would be an
analysis of survivors: a true share of .24 came out as .10. All trials are then compared at a common rung, the last one
that nine in ten of them reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import yaml
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.axis import Array, Axis, axis_of, levelled
from studies.errors import BadInput, Problem, nearest
from studies.objectives import by_first
from studies.schema import OF_THE_POINT, failure_of, is_imported

ValuePolicy = Literal["auto", "final", "common_rung"]
Target = Callable[[FrozenTrial], float]

INFINITE = 1e100  # a value beyond this is as good as infinite
PRUNED_SHARE = 0.10  # above this share of pruned trials, survivors alone mislead
SPACE_FILLING = frozenset({"random", "qmc", "explore", "grid"})  # sources that spread their points evenly
IMPORTED = "imported"  # the source of an imported trial of which its own study did not say who proposed it


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """Trials with a value. `x` is (n, d) in the axes' encoded units, NaN where a parameter was not active; `y` is (n,)
    in the metric's own unit; `sources`, `replicates` and `samples` (training samples seen) are None where unknown.

    `policy` says which value a trial counts with: `final`, or `rung k`. Of `n_finished` trials, `n_pruned` were pruned
    (with a value or not), `n_failed` gave no value for other reasons, `n_diverged` of them by diverging or running out
    of memory. `n_rungs` is the last step that any trial reported. `survivors_only`: more than a tenth lack
    the value in question. `has_target`: `y` is no objective, so which end is the worst is not known. `n_objectives`:
    how many the study has, of which `y` is the first. `assumed_source`
    stands for sources that the storage did not record. `is_grid`: the trials fill a grid, or were
    proposed as one. `dropped` names parameters left out, and why.
    """

    axes: tuple[Axis, ...]
    x: Array
    y: Array
    maximize: bool
    numbers: npt.NDArray[np.int64]
    sources: tuple[str | None, ...]
    replicates: tuple[int | None, ...]
    samples: tuple[float | None, ...]
    policy: str = "final"
    n_finished: int = 0
    n_pruned: int = 0
    n_failed: int = 0
    n_diverged: int = 0
    n_rungs: int = 0
    survivors_only: bool = False
    has_target: bool = False
    n_objectives: int = 1
    assumed_source: str | None = None
    is_grid: bool = False
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(axis.name for axis in self.axes)

    @property
    def loss(self) -> Array:
        """The value, lower is better."""
        return -self.y if self.maximize else self.y

    @property
    def unit(self) -> Array:
        """The parameters' positions in [0, 1]: (n, d), NaN where inactive."""
        return np.column_stack([axis.unit(self.x[:, i]) for i, axis in enumerate(self.axes)] or [self.x])

    @property
    def compared(self) -> str:
        """The value by which trials are compared, in words: `final`, or the rung where most were not pruned yet."""
        return f"{self.policy} of {self.n_rungs}" if self.policy != "final" and self.n_rungs else self.policy

    @property
    def space_filling_share(self) -> float | None:
        """The share of trials whose points are spread evenly; None where the storage does not say who proposed them."""
        if self.is_grid:
            return 1.0
        known = [source for source in self.sources if source is not None]
        return None if not known else sum(source in SPACE_FILLING for source in known) / len(self.sources)

    def active(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which trials had all of these parameters: (n,)."""
        columns = [self.names.index(name) for name in names]
        return np.asarray(~np.isnan(self.x[:, columns]).any(axis=1))

    def over(self, rows: npt.NDArray[np.bool_], names: Sequence[str]) -> TrialsTable:
        """The same table over some of the trials and parameters."""
        columns = [self.names.index(name) for name in names]
        kept = np.flatnonzero(rows)
        return replace(
            self,
            axes=tuple(self.axes[i] for i in columns),
            x=self.x[kept][:, columns],
            y=self.y[kept],
            numbers=self.numbers[kept],
            sources=tuple(self.sources[k] for k in kept),
            replicates=tuple(self.replicates[k] for k in kept),
            samples=tuple(self.samples[k] for k in kept),
        )


def trials_table(
    study: Study,
    *,
    params: Sequence[str] | None = None,
    target: Target | None = None,
    value_policy: ValuePolicy = "auto",
    source: str | None = None,
) -> TrialsTable:
    """The table of a study's finished trials, from any Optuna storage.

    `source` says who proposed the trials of which the storage does not: `random`, `qmc`, `grid`, or another sampler.

    Of several objectives the first counts, and `n_objectives` says so, unless there is a `target`.

    Raises `BadInput` for parameters that no trial has, and for final values where more than a tenth of the trials were
    pruned.
    """
    trials = study.get_trials(deepcopy=False)
    maximize = target is None and study.directions[0] == StudyDirection.MAXIMIZE
    return table_of(
        trials,
        maximize=maximize,
        params=params,
        target=target,
        value_policy=value_policy,
        source=source,
        powers_of_two=powers_of_two(study),
        n_objectives=len(study.directions),
    )


def table_of(
    trials: Sequence[FrozenTrial],
    *,
    maximize: bool,
    params: Sequence[str] | None = None,
    target: Target | None = None,
    value_policy: ValuePolicy = "auto",
    source: str | None = None,
    powers_of_two: frozenset[str] = frozenset(),
    n_objectives: int = 1,
) -> TrialsTable:
    """The table of `trials`; see `trials_table`."""
    trials = by_first(trials) if target is None else trials
    replaced = {number for trial in trials if (number := trial.user_attrs.get(schema.RETRY_OF)) is not None}
    finished = [t for t in trials if t.state.is_finished() and not t.user_attrs.get(schema.VOID)]
    finished = [t for t in finished if t.number not in replaced or t.state != TrialState.FAIL]
    valued = [t for t in finished if failure_of(t) is None]
    n_pruned = sum(t.state == TrialState.PRUNED for t in valued)
    many = n_pruned > PRUNED_SHARE * max(1, len(valued))
    if value_policy == "final" and many:
        complaint = f"is final, but {n_pruned} of {len(valued)} trials were pruned: the survivors alone mislead"
        raise BadInput([Problem("value_policy", complaint, "use auto or common_rung")])
    wants_rung = target is None and (value_policy == "common_rung" or (value_policy == "auto" and many))
    rung = _common_rung(valued) if wants_rung else None
    values = [(t, y) for t in valued if (y := _value(t, rung, target)) is not None]
    used = [(t, y) for t, y in values if abs(y) < INFINITE]
    infinite = len(values) - len(used)
    axes, dropped = _axes([t for t, _ in used], params, powers_of_two)
    table = TrialsTable(
        axes=axes,
        x=np.array([[_encoded(axis, t) for axis in axes] for t, _ in used], dtype=float).reshape(len(used), len(axes)),
        y=np.array([y for _, y in used], dtype=float),
        maximize=maximize,
        numbers=np.array([t.number for t, _ in used], dtype=np.int64),
        sources=tuple(_source(t) or source for t, _ in used),
        replicates=tuple(_replicate(t) for t, _ in used),
        samples=tuple(_samples(t, rung) for t, _ in used),
        policy="final" if rung is None else f"rung {rung}",
        n_finished=len(finished),
        n_pruned=n_pruned,
        n_failed=len(finished) - len(valued) + infinite,
        n_diverged=sum(failure_of(t) in OF_THE_POINT for t in finished) + infinite,
        n_rungs=max((max(t.intermediate_values, default=0) for t in valued), default=0),
        survivors_only=many and len(valued) - len(values) > PRUNED_SHARE * len(valued),
        has_target=target is not None,
        n_objectives=n_objectives,
        assumed_source=source if any(_source(t) is None for t, _ in used) else None,
        dropped=dropped,
    )
    return _with_tried_levels(table)


def powers_of_two(study: Study) -> frozenset[str]:
    """The parameters that the study's own description calls powers of two."""
    described = study.user_attrs.get(schema.STUDY_SPACE)
    if schema.STUDY_FINGERPRINT not in study.user_attrs or not isinstance(described, str):
        return frozenset()
    return frozenset(name for name, entry in yaml.safe_load(described).items() if entry["type"] == "power_of_two")


def _axes(
    trials: Sequence[FrozenTrial], params: Sequence[str] | None, powers: frozenset[str]
) -> tuple[tuple[Axis, ...], dict[str, str]]:
    known = list(dict.fromkeys(name for trial in trials for name in trial.params))
    unknown = [name for name in params or () if name not in known]
    if unknown and trials:
        raise BadInput(
            [Problem(f"params.{name}", "is no parameter of the study", nearest(name, known)) for name in unknown]
        )
    axes, dropped = [], {}
    for name in known if params is None else [name for name in params if name in known]:
        distributions = list(dict.fromkeys(t.distributions[name] for t in trials if name in t.params))
        values = {t.params[name] for t in trials if name in t.params}
        axis = axis_of(name, distributions, is_power_of_two=name in powers)
        if axis is None:
            dropped[name] = "its trials had ranges of different kinds"
        elif axis.is_single or len(values) < 2:
            dropped[name] = "all trials had the same value"
        else:
            axes.append(axis)
    return tuple(axes), dropped


def _encoded(axis: Axis, trial: FrozenTrial) -> float:
    return axis.encode(trial.params[axis.name]) if axis.name in trial.params else math.nan


def _common_rung(trials: Sequence[FrozenTrial]) -> int | None:
    """The last rung that nine in ten of the trials reached; None where fewer reported anything."""
    last = sorted(max(t.intermediate_values, default=-math.inf) for t in trials)
    rung = last[math.floor(PRUNED_SHARE * len(last))] if last else -math.inf
    return int(rung) if rung >= 0 else None


def _value(trial: FrozenTrial, rung: int | None, target: Target | None) -> float | None:
    if rung is not None:
        return trial.intermediate_values.get(rung)
    if trial.state != TrialState.COMPLETE:
        return None
    return float(target(trial)) if target is not None else trial.value


def _samples(trial: FrozenTrial, rung: int | None) -> float | None:
    seen = trial.user_attrs.get(schema.SAMPLES_SEEN)
    if not isinstance(seen, list) or not seen or not all(isinstance(count, int | float) for count in seen):
        return None
    return float(seen[-1] if rung is None else seen[min(rung, len(seen)) - 1])


def _source(trial: FrozenTrial) -> str | None:
    """Who proposed the trial, where the storage says it; another tool's attribute of that name may be anything.

    What was imported was proposed in another study: what is said or assumed of this one's trials does not hold for it.
    """
    source = trial.user_attrs.get(schema.SOURCE)
    if isinstance(source, str):
        return source
    return IMPORTED if is_imported(trial) else None


def _replicate(trial: FrozenTrial) -> int | None:
    replicate = trial.user_attrs.get(schema.REPLICATE)
    return replicate if isinstance(replicate, int) else None


def _with_tried_levels(table: TrialsTable) -> TrialsTable:
    """Where the trials form a grid, its levels are the measure of each numeric axis: nothing is known between them."""
    if not _is_grid(table):
        return table
    axes = []
    for i, axis in enumerate(table.axes):
        levels = np.unique(table.x[~np.isnan(table.x[:, i]), i])
        numeric = axis.kind != "categorical" and len(levels) < (len(axis.levels) or math.inf)
        values = [axis.decode(level) for level in levels]
        axes.append(levelled(axis.name, "discrete", axis.scale, levels.tolist(), values) if numeric else axis)
    return replace(table, axes=tuple(axes), is_grid=True)


def _is_grid(table: TrialsTable) -> bool:
    """Whether the trials were proposed as a grid, or fill one: all combinations of the values of two axes or more."""
    known = {source for source in table.sources if source is not None}
    if known:
        return known == {"grid"} and None not in table.sources
    if len(table.axes) < 2 or np.isnan(table.x).any() or not len(table.y):
        return False
    n_levels = [len(np.unique(column)) for column in table.x.T]
    return len(np.unique(table.x, axis=0)) == math.prod(n_levels) if math.prod(n_levels) <= len(table.y) else False
