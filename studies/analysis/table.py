"""The trials table: one row a trial, with its encoded parameters, its value and where both come from.

Only trials that ended well have a value of their own. Where more than a tenth were pruned, those alone would be an
analysis of survivors: a true share of .24 came out as .10. The last values of pruned trials are then predicted from
their curves (curves/completion.py). On request, or where trials report at steps of their own, all are compared at a
common step instead, the last one that nine in ten of them reached.

A trial that violates a constraint is no candidate. It is left out and counted, for whatever ranks trials reads this
table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.axis import Array, Axis, axes_of, is_inside
from studies.analysis.curves.common_step import CommonStep, common_step
from studies.analysis.curves.completion import completed
from studies.analysis.curves.learning_curves import Curves, curves_of
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.same_runs import distinct
from studies.analysis.tried import Tried, points_of, tried_of, with_levels
from studies.errors import BadInput, Problem
from studies.records.eligible import is_feasible, is_finite
from studies.records.objectives import by_first
from studies.records.shapes import yaml_of
from studies.records.stored import attributes_of, trials_of
from studies.schema import OF_THE_POINT, failure_of, is_imported

ValuePolicy = Literal["auto", "final", "common_rung"]
Target = Callable[[FrozenTrial], float]

PRUNED_SHARE = 0.10  # above this share of pruned trials, survivors alone mislead
SPACE_FILLING = frozenset({"random", "qmc", "explore", "grid"})  # sources that spread their points evenly
IMPORTED = "imported"  # the source of an imported trial of which its own study did not say who proposed it


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """Trials with a value.

    x: (n, d) in the axes' encoded units, NaN for a parameter that was not active
    y: (n,) in the metric's own unit
    sources, replicates, samples: of each trial, None if unknown. Samples are training samples seen.
    policy: the value of a trial: `final`, `completed` (final, but predicted for pruned trials), `rung k`, or `step k`,
        the last report up to there
    n_finished: all finished trials
    n_pruned: of these the pruned ones, with a value or not
    n_failed: those without a value for other reasons
    n_diverged: of the failed, those that diverged or ran out of memory
    n_infinite: of the diverged, those with an infinite value
    n_infeasible, n_outside: trials that violate a constraint, or lie outside their ranges. Both are left out.
    n_rungs: the last step that any trial reported
    survivors_only: more than a tenth of the trials lack the value
    steps_differ: some of these did report, at steps that the others do not share
    has_no_step: trials were to be compared at a common step, and there is none
    has_target: `y` is no objective, so its worst end is not known
    n_objectives: of the study. `y` is the first.
    assumed_source: stands for sources that the storage did not record
    is_grid: the trials fill a grid, or were proposed as one
    dropped: parameters left out, and why
    rough: what is known of the values if some are predicted
    tried: trials that diverged or ran out of memory as well, None for a part of the trials
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
    n_infinite: int = 0
    n_infeasible: int = 0
    n_outside: int = 0
    n_rungs: int = 0
    survivors_only: bool = False
    steps_differ: bool = False
    has_no_step: bool = False
    has_target: bool = False
    n_objectives: int = 1
    assumed_source: str | None = None
    is_grid: bool = False
    dropped: Mapping[str, str] = field(default_factory=dict)
    rough: RoughValues | None = None
    tried: Tried | None = None

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
        """The value by which trials are compared, in words: `final`, or the rung where most were not pruned yet.

        Completed values stand for final ones.
        """
        if self.is_completed:
            return "final"
        if self.has_own_steps:
            return f"{self.policy} (each by its last report up to there)"
        return f"{self.policy} of {self.n_rungs}" if self.policy != "final" and self.n_rungs else self.policy

    @property
    def is_completed(self) -> bool:
        """Whether the last values of pruned trials are predicted from their curves."""
        return self.policy == "completed"

    @property
    def is_measured(self) -> npt.NDArray[np.bool_]:
        """Whether each value (n,) was measured. The others are predicted from curves."""
        return np.ones(len(self.y), dtype=bool) if self.rough is None else self.rough.is_known

    @property
    def n_completed(self) -> int:
        """How many values are predicted."""
        return int((~self.is_measured).sum())

    @property
    def draws(self) -> Array:
        """The values (1, n), or draws of them (draws, n) if some are predicted."""
        return self.y[None] if self.rough is None else self.rough.draws

    @property
    def has_own_steps(self) -> bool:
        """Whether trials report at steps of their own, so that each counts with its last report up to a step."""
        return self.policy.startswith("step ")

    @property
    def space_filling_share(self) -> float | None:
        """The share of trials with evenly spread points, None if the storage does not say who proposed them."""
        if self.is_grid:
            return 1.0
        known = [source for source in self.sources if source is not None]
        return None if not known else sum(source in SPACE_FILLING for source in known) / len(self.sources)

    def active(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return the mask of trials (n,) that had all of these parameters."""
        columns = [self.names.index(name) for name in names]
        return np.asarray(~np.isnan(self.x[:, columns]).any(axis=1))

    def over(self, rows: npt.NDArray[np.bool_], names: Sequence[str]) -> TrialsTable:
        """Return the same table over some of the trials and parameters."""
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
            rough=None if self.rough is None else self.rough.over(kept),
            tried=None,
        )


def trials_table(
    study: Study,
    *,
    params: Sequence[str] | None = None,
    target: Target | None = None,
    value_policy: ValuePolicy = "auto",
    source: str | None = None,
) -> TrialsTable:
    """Return the table of a study's finished trials, from any Optuna storage.

    `source` stands for the origin of trials if the storage does not tell: `random`, `qmc`, `grid`, or another sampler.
    Of several objectives the first counts, unless there is a `target`. Raises `BadInput` for parameters that no trial
    has, and for final values if more than a tenth of the trials were pruned.
    """
    trials = trials_of(study)
    stored = {trial.number: trial for trial in study.get_trials(deepcopy=False)}  # read later, so it has them all
    return table_of(
        trials,
        maximize=target is None and study.directions[0] == StudyDirection.MAXIMIZE,
        params=params,
        target=None if target is None else lambda trial: target(stored[trial.number]),
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
    """Return the table of `trials`, as `trials_table`. With a `target`, infeasible trials count too."""
    trials = distinct(by_first(trials) if target is None else trials)
    replaced = {number for trial in trials if (number := trial.user_attrs.get(schema.RETRY_OF)) is not None}
    finished = [t for t in trials if t.state.is_finished() and not t.user_attrs.get(schema.VOID)]
    finished = [t for t in finished if t.number not in replaced or t.state != TrialState.FAIL]
    valued = [t for t in finished if failure_of(t) is None]
    compared = [t for t in valued if target is not None or is_feasible(t)]
    n_pruned = sum(t.state == TrialState.PRUNED for t in compared)
    many = n_pruned > PRUNED_SHARE * max(1, len(compared))
    if value_policy == "final" and many:
        complaint = f"is final, but {n_pruned} of {len(compared)} trials were pruned: the survivors alone mislead"
        raise BadInput([Problem("value_policy", complaint, "use auto or common_rung")])
    wants_step = target is None and (value_policy == "common_rung" or (value_policy == "auto" and many))
    step = common_step(compared) if wants_step else None
    curves = curves_of(compared) if value_policy == "auto" and step is not None and step.is_shared else None
    values = [(t, _value(t, step, target) if curves is None else curves.last(t)) for t in compared]
    lacking = [t for t, y in values if y is None]
    finite = [(t, y) for t, y in values if y is not None and is_finite(y)]
    ranges, _ = axes_of([t for t, _ in finite], params, powers_of_two)
    used = [(t, y) for t, y in finite if is_inside(t, ranges)]
    axes, dropped = axes_of([t for t, _ in used], params, powers_of_two)
    infinite = [t for t, y in values if y is not None and not is_finite(y)]
    diverged = [*(t for t in finished if failure_of(t) in OF_THE_POINT), *infinite]
    table = TrialsTable(
        axes=axes,
        x=points_of([t for t, _ in used], axes),
        y=np.array([y for _, y in used], dtype=float),
        maximize=maximize,
        numbers=np.array([t.number for t, _ in used], dtype=np.int64),
        sources=tuple(_source(t) or source for t, _ in used),
        replicates=tuple(_replicate(t) for t, _ in used),
        samples=tuple(_samples(t, step if curves is None else None) for t, _ in used),
        policy="completed" if curves is not None else "final" if step is None else step.policy,
        n_finished=len(finished),
        n_pruned=sum(t.state == TrialState.PRUNED for t in valued),
        n_failed=len(finished) - len(valued) + len(infinite),
        n_diverged=len(diverged),
        n_infinite=len(infinite),
        n_infeasible=len(valued) - len(compared),
        n_outside=len(finite) - len(used),
        n_rungs=max((max(t.intermediate_values, default=0) for t in compared), default=0),
        survivors_only=many and len(lacking) > PRUNED_SHARE * len(compared),
        steps_differ=any(t.state == TrialState.PRUNED and t.intermediate_values for t in lacking),
        has_no_step=wants_step and step is None,
        has_target=target is not None,
        n_objectives=n_objectives,
        assumed_source=source if any(_source(t) is None for t, _ in used) else None,
        dropped=dropped,
        tried=tried_of([t for t, _ in used], diverged, params, powers_of_two),
    )
    table = _with_tried_levels(table)
    return table if curves is None else _completed(table, curves)


def powers_of_two(study: Study) -> frozenset[str]:
    """Return the parameters that the study's own description calls powers of two."""
    described = attributes_of(study).get(schema.STUDY_SPACE)
    if described is None:
        return frozenset()
    return frozenset(name for name, entry in yaml_of(described).items() if entry["type"] == "power_of_two")


def _completed(table: TrialsTable, curves: Curves) -> TrialsTable:
    """Predict the last values of pruned trials."""
    rough = completed(curves.of(table.numbers), curves.steps, table.axes, table.unit, seed=0)
    return replace(table, y=rough.draws.mean(axis=0), rough=rough)


def _value(trial: FrozenTrial, step: CommonStep | None, target: Target | None) -> float | None:
    if step is not None:
        return step.value_of(trial)
    if trial.state != TrialState.COMPLETE:
        return None
    return float(target(trial)) if target is not None else trial.value


def _samples(trial: FrozenTrial, step: CommonStep | None) -> float | None:
    seen = trial.user_attrs.get(schema.SAMPLES_SEEN)
    if not isinstance(seen, list) or not seen or not all(isinstance(count, int | float) for count in seen):
        return None
    return float(seen[-1] if step is None else seen[min(step.step, len(seen)) - 1])


def _source(trial: FrozenTrial) -> str | None:
    """Return who proposed the trial, None if unknown. Another tool's attribute of that name may be anything.

    An imported trial was proposed in another study, so nothing that is assumed of this one's trials holds for it.
    """
    source = trial.user_attrs.get(schema.SOURCE)
    if isinstance(source, str):
        return source
    return IMPORTED if is_imported(trial) else None


def _replicate(trial: FrozenTrial) -> int | None:
    replicate = trial.user_attrs.get(schema.REPLICATE)
    return replicate if isinstance(replicate, int) else None


def _with_tried_levels(table: TrialsTable) -> TrialsTable:
    """Take a grid's levels as the measure of each numeric axis, for nothing is known between them."""
    if not _is_grid(table):
        return table
    tried = None if table.tried is None else replace(table.tried, axes=with_levels(table.tried.axes, table.tried.x))
    return replace(table, axes=with_levels(table.axes, table.x), is_grid=True, tried=tried)


def _is_grid(table: TrialsTable) -> bool:
    """Return whether the trials were proposed as a grid, or have all combinations of two or more axes' values."""
    known = {source for source in table.sources if source is not None}
    if known:
        return known == {"grid"} and None not in table.sources
    if len(table.axes) < 2 or np.isnan(table.x).any() or not len(table.y):
        return False
    n_cells = math.prod(len(np.unique(column)) for column in table.x.T)
    return n_cells <= len(table.y) and len(np.unique(table.x, axis=0)) == n_cells
