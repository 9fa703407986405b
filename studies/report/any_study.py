"""What any Optuna study says of itself, made by this framework or not, and its report in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from studies import schema
from studies.analysis.choice import Choice, ranked
from studies.budget import Budget, Unit
from studies.report.findings import findings
from studies.report.markdown import NOT_ANALYSED, best_section, endings_section, files_section, not_analysed, told
from studies.report.wording import counted
from studies.schema import failure_of

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis


@dataclass(frozen=True, slots=True)
class AnyStudy:
    """What is known of a study without its config. `budget` is None where it is not recorded, `best` where there is
    none; `analysis` and the rest as in `studies.report.markdown.Results`."""

    name: str
    metric: str
    budget: Budget | None
    best: Choice | None
    ended: Mapping[str, int]
    n_objectives: int = 1
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
        if self.n_objectives > 1:
            return f"{done}, with {self.n_objectives} objectives: there is no single best one."
        return told(self.best, self.metric, done=done, analysis=self.analysis)


def describe(study: Study, trials: Sequence[FrozenTrial], *, metric: str | None = None) -> AnyStudy:
    """Read off a study what its report tells before it is analysed; of several objectives no trial is the best."""
    maximize = study.directions[0] == StudyDirection.MAXIMIZE
    choices = ranked(trials, maximize=maximize, by_point=False) if len(study.directions) == 1 else []
    ended = Counter(_ending(t) for t in trials if not t.user_attrs.get(schema.VOID))
    best, n_objectives = next(iter(choices), None), len(study.directions)
    return AnyStudy(study.study_name, metric or metric_of(study), budget_of(study), best, ended, n_objectives)


def render_any(found: AnyStudy) -> str:
    """The whole report."""
    parts = [f"# Study {found.name}", found.headline]
    if found.best is not None:
        parts.append(best_section(found.best.trial.params))
    parts.append(endings_section(found.ended))
    if found.analysis is not None:
        parts.append(findings(found.analysis, metric=found.metric, pictures=found.pictures))
    else:
        parts.append(not_analysed(found.unanalysed))
    parts += [found.next_round] if found.next_round else []
    parts.append(files_section(found.files))
    return "\n\n".join(parts) + "\n"


def _ending(trial: FrozenTrial) -> str:
    """How a trial ended: why it failed where that is recorded, else its state."""
    recorded = failure_of(trial) if schema.FAILURE in trial.user_attrs else None
    return str(recorded or trial.state.name.lower())


def metric_of(study: Study) -> str:
    """The name of a study's value: what this framework recorded, Optuna's metric name, or `value`."""
    recorded = study.user_attrs.get(schema.STUDY_METRIC)
    if isinstance(recorded, Mapping) and recorded.get("name"):
        return str(recorded["name"])
    return study.metric_names[0] if study.metric_names else "value"


def budget_of(study: Study) -> Budget | None:
    """The budget of a trial, where this framework recorded one."""
    recorded = study.user_attrs.get(schema.STUDY_BUDGET)
    if not isinstance(recorded, Mapping) or recorded.get("unit") not in get_args(Unit):
        return None
    amount, rungs = recorded.get("amount"), recorded.get("rungs")
    if not isinstance(amount, int | float) or not isinstance(rungs, int) or rungs < 1:
        return None
    return Budget(recorded["unit"], amount, rungs)
