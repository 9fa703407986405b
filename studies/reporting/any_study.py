"""What any Optuna study says of itself, made by this framework or not, and its report in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from studies import schema
from studies.analysis.choice import Choice, ranked
from studies.analysis.same_runs import same_runs_note
from studies.config.budget import Budget, Unit
from studies.records.eligible import Excluded, excluded
from studies.records.objectives import objective_notes
from studies.records.stored import attributes_of
from studies.reporting.any_front import any_front_section, front_of_any
from studies.reporting.findings import findings
from studies.reporting.goal import stored_goal_sentence
from studies.reporting.markdown import (
    NOT_ANALYSED,
    best_section,
    endings_section,
    files_section,
    not_analysed,
    told,
    valued,
)
from studies.reporting.wording import plain
from studies.schema import failure_of
from studies.storage.described_space import space_of
from studies.text.wording import counted

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis

BY_THE_CONFIG = "`studies.report +study=…` with the overrides that the study was run with"


@dataclass(frozen=True, slots=True)
class AnyStudy:
    """What is known of a study without its config.

    `budget` is None where it is not recorded, `best` where there is none. `goal` says what is optimised. `same_runs`
    tells of trials that their seeds do not tell apart. `by_cells`: the best is a point's mean over its training seeds.
    `front` has the trials on the front of several objectives, called `metrics`. `excluded` counts the complete trials
    that cannot be the best. `has_direction`: the storage says whether small or large values are good. `rounds` are the
    studies of a selection among the best. `analysis` and the rest are as in
    `studies.reporting.markdown.Results`.
    """

    name: str
    metric: str
    budget: Budget | None
    best: Choice | None
    ended: Mapping[str, int]
    n_objectives: int = 1
    metrics: Sequence[str] = ()
    front: Sequence[FrozenTrial] = ()
    excluded: Excluded = field(default_factory=Excluded)
    has_direction: bool = True
    goal: str = ""
    same_runs: str = ""
    by_cells: bool = False
    rounds: Sequence[str] = ()
    analysis: Analysis | None = None
    unanalysed: str = NOT_ANALYSED
    files: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)
    next_round: str = ""

    @property
    def headline(self) -> str:
        """One sentence: what came out, and the strongest effect where the verdict is ok."""
        n = sum(count for state, count in self.ended.items() if state not in ("running", "waiting"))
        done = counted(n, "trial finished", "trials finished")
        lost = f" ({self.excluded})" if str(self.excluded) else ""
        if self.n_objectives > 1:
            return f"{done}{lost}, with {self.n_objectives} objectives: there is no single best one."
        if not self.has_direction:
            return f"{done}{lost}; the study does not say which values are good, so none is the best."
        if self.best is None and lost:
            return f"{done}{lost}: none of them can be the best."
        done += lost
        if not self.rounds:
            return told(self.best, self.metric, done=done, analysis=self.analysis)
        claimed = f"Best {self.metric} of the search alone {valued(self.best)}" if self.best is not None else None
        more = f"; a selection among its best followed: {BY_THE_CONFIG} tells it"
        return told(self.best, self.metric, done=done, more=more, analysis=self.analysis, claimed=claimed)


def describe(
    study: Study, trials: Sequence[FrozenTrial], *, metric: str | None = None, rounds: Sequence[str] = ()
) -> AnyStudy:
    """Read off a study what its report tells before it is analysed; of several objectives no trial is the best.

    A designed study of this framework, and a round of a selection, train each point with several seeds on purpose:
    their best is the point with the best mean.
    """
    maximize, by_cells = study.directions[0] == StudyDirection.MAXIMIZE, repeats_points(study)
    has_direction = StudyDirection.NOT_SET not in study.directions
    has_best = has_direction and len(study.directions) == 1
    choices = ranked(trials, maximize=maximize, by_point=by_cells) if has_best else []
    run = [trial for trial in trials if not trial.user_attrs.get(schema.VOID)]
    ended = Counter(str(failure_of(trial) or trial.state.name.lower()) for trial in run)
    best, n_objectives = next(iter(choices), None), len(study.directions)
    return AnyStudy(
        study.study_name,
        metric or metric_of(study),
        budget_of(study),
        best,
        ended,
        n_objectives=n_objectives,
        metrics=study.metric_names or [f"value {i}" for i in range(1, n_objectives + 1)],
        front=front_of_any(study, trials),
        excluded=excluded(run),
        has_direction=has_direction,
        goal=stored_goal_sentence(study),
        same_runs=same_runs_note(trials) or "",
        by_cells=by_cells,
        rounds=rounds,
    )


def render_any(found: AnyStudy) -> str:
    """The whole report."""
    parts = [f"# Study {plain(found.name)}", found.headline, found.goal]
    parts += [f"Note: {note}." for note in objective_notes((found.metric,))]
    parts += [f"**Note:** {found.same_runs}."] if found.same_runs else []
    if found.best is not None:
        parts += [best_section(found.best.trial.params), *_rests_on(found, found.best)]
    parts += [any_front_section(found.front, found.metrics)] if found.front else []
    parts.append(endings_section(found.ended))
    parts += list(_cannot_be_best(found.excluded))
    if found.analysis is not None:
        parts.append(findings(found.analysis, metric=found.metric, pictures=found.pictures))
    else:
        parts.append(not_analysed(found.unanalysed))
    parts += [found.next_round] if found.next_round else []
    parts.append(files_section(found.files))
    return "\n\n".join(parts) + "\n"


def _rests_on(found: AnyStudy, best: Choice) -> Iterator[str]:
    """What the best configuration is the best of, where that is not plain."""
    if found.by_cells:
        mean = f"the mean of {best.n} trainings with different seeds" if best.n > 1 else "one training"
        yield (
            f"Value: {mean}. Points are compared by their means over training seeds; all of them, and the table of a "
            f"scientific parameter, are told by {BY_THE_CONFIG}."
        )
    if found.rounds:
        yield (
            f"This is the best of the search alone. A selection among its best followed "
            f"({counted(len(found.rounds), 'round', 'rounds')} in the storage: {', '.join(found.rounds)}), which this "
            f"report from the storage alone does not repeat: {BY_THE_CONFIG} tells what was selected."
        )


def _cannot_be_best(lost: Excluded) -> Iterator[str]:
    """Tell which complete trials are no candidates."""
    if lost.infeasible:
        n = counted(lost.infeasible, "complete trial violates", "complete trials violate")
        yield f"{n} a constraint: infeasible, and never the best."
    if lost.infinite:
        n = counted(lost.infinite, "complete trial has", "complete trials have")
        yield f"{n} an infinite value: never the best."


def repeats_points(study: Study) -> bool:
    """Whether `study` is one of ours that trains each of its points with several seeds: a design, whose description has
    levels, or a round of a selection."""
    space = space_of(study)
    is_designed = space is not None and any(parameter.levels is not None for parameter in space)
    return is_designed or schema.STUDY_SELECT in attributes_of(study)


def metric_of(study: Study) -> str:
    """The name of a study's value: what this framework recorded, Optuna's metric name, or `value`."""
    recorded = attributes_of(study).get(schema.STUDY_METRIC)
    if isinstance(recorded, Mapping) and recorded.get("name"):
        return str(recorded["name"])
    return study.metric_names[0] if study.metric_names else "value"


def budget_of(study: Study) -> Budget | None:
    """The budget of a trial, where this framework recorded one."""
    recorded = attributes_of(study).get(schema.STUDY_BUDGET)
    if not isinstance(recorded, Mapping) or recorded.get("unit") not in get_args(Unit):
        return None
    amount, rungs = recorded.get("amount"), recorded.get("rungs")
    if not isinstance(amount, int | float) or not isinstance(rungs, int) or rungs < 1:
        return None
    return Budget(recorded["unit"], amount, rungs)
