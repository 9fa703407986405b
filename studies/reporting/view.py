"""The input of a report: a study, read once from the storage and from its config, if that is given.

A study of ours, a running one and one of another tool have the same view. Unknown fields are None or empty.
The analysis is imported late, because it takes half a second, which a search need not wait for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial

from studies.analysis.choice import Choice, ranked
from studies.analysis.next_round.round import NextRound, next_round
from studies.analysis.same_runs import distinct
from studies.analysis.table import TrialsTable, table_of
from studies.analysis.values.row import DesignedStudy
from studies.config.budget import Budget
from studies.config.defaults import defaults_of
from studies.config.settings import AnalysisSettings, Direction, StudySettings
from studies.config.space import SearchSpace
from studies.records.objectives import by_first
from studies.schema import bounds_of
from studies.selection.steps import Selection
from studies.storage.questions import StoredQuestion
from studies.storage.slots import Rules, Slot

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric with its direction."""

    metric: str
    direction: Direction | None  # None if the storage names none

    @property
    def maximize(self) -> bool:
        """Whether greater values are better."""
        return self.direction == "maximize"


@dataclass(frozen=True)  # not slotted: cached properties need a dictionary
class StudyView:
    """A study, as the sections of its report read it.

    Attributes:
        trials: All trials, by number.
        ended: The trials that count: the last of each finished slot. All but void ones if the slots are not known.
        imported: Trials from another study.
        imports: The imported trials and those left out, in words.
        slots: The slots of the budget with their trials. Empty if not known.
        rules: The rules for retries. None if not known.
        objectives: The metrics. The first one is analysed.
        goal: The objective in words.
        budget: The budget of one trial.
        space: The search space.
        powers_of_two: Names of parameters whose values are powers of two.
        repeats_points: Whether each point is trained with several seeds by design.
        has_one_best: Whether one trial is the best of all.
        settings: The study's config. None if not given.
        design: What a table of values needs, for a designed study.
        selection: The result of the selection among the best.
        rounds: Names of the studies of a selection. Only in a report without the config, which cannot read them.
        device_seconds: Number of a trial → seconds on its devices.
        next_command: The command that runs the next round. Empty if not known.
        next_arguments: The arguments that name the next round and the study whose trials it imports.
        run_arguments: The arguments that run this study again. Empty if not known.
        questions: The stored designed studies of questions to this search, by the parameters that they ask about.
        space_file: The study's own file, if it sets the search space. No option of the command line replaces that.
    """

    name: str
    trials: Sequence[FrozenTrial]
    ended: Sequence[FrozenTrial]
    objectives: tuple[Objective, ...]
    goal: str
    wanted: AnalysisSettings
    seed: int
    imported: Sequence[FrozenTrial] = ()
    imports: str = ""
    slots: Sequence[Slot] = ()
    rules: Rules | None = None
    budget: Budget | None = None
    space: SearchSpace | None = None
    powers_of_two: frozenset[str] = frozenset()
    repeats_points: bool = False
    has_one_best: bool = True
    settings: StudySettings | None = None
    design: DesignedStudy | None = None
    selection: Selection | None = None
    rounds: Sequence[str] = ()
    device_seconds: Mapping[int, float] = field(default_factory=dict)
    next_command: str = ""
    next_arguments: str = ""
    run_arguments: tuple[str, ...] = ()
    questions: Mapping[tuple[str, ...], StoredQuestion] = field(default_factory=dict)
    space_file: str = ""

    @property
    def metric(self) -> str:
        """The metric for comparing trials."""
        return self.objectives[0].metric

    @property
    def maximize(self) -> bool:
        """Whether greater values of the metric are better."""
        return self.objectives[0].maximize

    @property
    def has_direction(self) -> bool:
        """Whether each objective has a direction."""
        return all(objective.direction is not None for objective in self.objectives)

    @property
    def candidates(self) -> list[FrozenTrial]:
        """The trials to analyse and to choose the best from."""
        return [*self.ended, *self.imported]

    @cached_property
    def choices(self) -> list[Choice]:
        """The configurations, best first. Empty if there is no single best one. Their intervals keep to its bounds."""
        is_ordered = self.settings is not None or len(self.objectives) == 1
        if not (self.has_one_best and self.has_direction and is_ordered):
            return []
        then = self.objectives[1].maximize if len(self.objectives) > 1 else None
        found = ranked(self.candidates, maximize=self.maximize, by_point=self.repeats_points, then_maximize=then)
        bounds = bounds_of(self.metric, [choice.value for choice in found])
        return [replace(choice, estimate=choice.estimate.within(*bounds)) for choice in found]

    @property
    def best(self) -> Choice | None:
        """The best configuration of the search."""
        return next(iter(self.choices), None)

    @property
    def is_analysed(self) -> bool:
        """Whether an analysis is asked for and possible."""
        return self.wanted.name != "none" and self.has_direction

    @cached_property
    def table(self) -> TrialsTable:
        """The input of the analysis.

        Raises `BadInput` if the config asks for parameters or values that no trial has.
        """
        params = self.wanted.params
        if params is not None and self.settings is not None:
            params = tuple(name for name in params if name in self._tried)
        return table_of(
            distinct(self.candidates),
            maximize=self.maximize,
            params=params,
            value_policy=self.wanted.value_policy,
            source=self.wanted.source,
            powers_of_two=self.powers_of_two,
            n_objectives=len(self.objectives),
        )

    @cached_property
    def analysis(self) -> Analysis:
        """The whole analysis. Raises what `table` raises, and `BadInput` for a law of unknown parameters."""
        from studies.analysis.analyse import analyse

        law = self.wanted.law
        if law is not None and self.settings is not None:
            law = tuple(pair for pair in law if self._tried.issuperset(pair))
        settings, unit = self.settings, self.budget.unit if self.budget is not None else None
        return analyse(
            self.table,
            seed=self.seed,
            metric=self.metric,
            law=law,
            budget_unit=unit,
            defaults={} if settings is None else defaults_of(settings.space, settings.template),
            tolerance=None if settings is None else settings.objective.tolerance,
        )

    @cached_property
    def next_round(self) -> NextRound:
        """The conclusions for the next round."""
        trials = by_first(distinct(self.candidates))
        return next_round(self.analysis, trials, space=self.space)

    @property
    def _tried(self) -> set[str]:
        """The parameters of any trial. A conditional one may never have been active."""
        return {name for trial in self.candidates for name in trial.params}
