"""`report.md`: a short report in Markdown, rendered from results that are already computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial

from studies import schema
from studies.analysis.choice import Choice
from studies.config.settings import StudySettings
from studies.records.objectives import objective_notes
from studies.reporting.findings import TITLE, clause, findings
from studies.reporting.fitted_section import fitted_sections
from studies.reporting.front import FrontFound, front_section
from studies.reporting.goal import goal_sentence
from studies.reporting.handed_on import handed_on
from studies.reporting.selection import champion_of, claim, selection_section
from studies.reporting.value_section import value_section
from studies.reporting.wording import code, plain, table
from studies.selection.steps import Selection
from studies.text.wording import counted, shown

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.values.fitted import FittedValue
    from studies.analysis.values.table import ValueTables

MAX_CELLS = 12  # cells of a designed experiment that the report lists
NOT_ANALYSED = "Not analysed: analysis=none was asked for."
NO_DIRECTION = "Not analysed: the study does not say whether a small or a large value is good."
UNFINISHED = "Not analysed: an error or an interruption ended the analysis; what was printed then says which."


@dataclass(frozen=True, slots=True)
class Results:
    """What the report tells. `choices` are the configurations, best first; `ended` counts slots by how they ended;
    `failed_for_good` are the last tries of points that failed too often, whose slots got new points if `redraws`;
    `values` is what a designed study says of its scientific parameter; `imported` trials came from another study,
    `imports` tells of them; `conclusion` takes the best value's place in the headline; `analysis` is None where there
    is none, and `unanalysed` then says why; `pictures` maps captions to paths from the report on; `selection` is None
    where none was asked for, or it has not come to its end; `front` is that of two objectives, drawn at
    `front_picture`; `next_round` is that section; `same_runs` tells of trials that their seeds do not tell apart;
    `ending_notes` tell of those without a full result;
    `isolated` has the scientific parameters of a search."""

    choices: Sequence[Choice]
    finished: int
    ended: Mapping[str, int]
    retried: int
    failed_for_good: Sequence[FrozenTrial]
    redraws: bool
    files: Mapping[str, str]
    values: ValueTables | None = None
    imported: int = 0
    imports: str | None = None
    analysis: Analysis | None = None
    conclusion: str | None = None
    unanalysed: str = NOT_ANALYSED
    pictures: Mapping[str, Path] = field(default_factory=dict)
    selection: Selection | None = None
    front: FrontFound | None = None
    front_picture: Path | None = None
    next_round: str = ""
    same_runs: str = ""
    ending_notes: Sequence[str] = ()
    isolated: Mapping[str, Sequence[FittedValue]] = field(default_factory=dict)

    @property
    def best(self) -> Choice | None:
        """The best configuration."""
        return self.choices[0] if self.choices else None


def headline(results: Results, settings: StudySettings) -> str:
    """One sentence: what came out, what went wrong, and the strongest effect where the verdict is ok."""
    done = f"{results.finished} of {max(settings.n_trials, results.finished)} trials finished"
    lost = counted(len(results.failed_for_good), "point", "points")
    fate = "replaced by others" if results.redraws else "with no result"
    failures = f"; {lost} failed for good (error or killed), {fate}" if results.failed_for_good else ""
    imports = f", {results.imported} imported" if results.imported else ""
    goes_on = results.finished < settings.n_trials
    more = "; the same command goes on" if goes_on else ""
    if results.conclusion is not None:
        return f"{done}{failures}{more}: {results.conclusion}"
    if settings.select.name != "none" and results.selection is None and results.best is not None:
        more = f"; nothing is selected yet{more or '; the same command goes on'}"
    metric = settings.objective.metric
    claimed = claim(results.selection, metric) if results.selection is not None else None
    front = f"{results.front.clause}; " if results.front is not None else ""
    return told(
        results.best,
        metric,
        done=f"{front}{done}{imports}",
        more=f"{failures}{more}",
        analysis=results.analysis,
        claimed=claimed,
    )


def told(
    best: Choice | None,
    metric: str,
    *,
    done: str,
    more: str = "",
    analysis: Analysis | None = None,
    claimed: str | None = None,
) -> str:
    """A headline: the best value (or what is `claimed` of the one that was selected), what is `done`, what is `more` to
    say, and what an analysis may say in a clause."""
    effect = clause(analysis) if analysis is not None else None
    effects = f"; {effect}" if effect else ""
    if claimed is not None:
        return f"{claimed}; {done}{more}{effects}."
    if best is None:
        return f"{done}, none of them with a value{more}{effects}."
    return f"Best {metric} {valued(best)}; {done}{more}{effects}."


def valued(choice: Choice) -> str:
    """A choice's value and what it rests on."""
    if choice.half_width is None and choice.n > 1:
        return f"{choice.value:.4f} (mean of {choice.n} seeds, all equal)"
    if choice.half_width is None:
        return f"{choice.value:.4f} (trial {choice.trial.number})"
    return f"{choice.value:.4f} ± {choice.half_width:.4f} (mean of {choice.n} seeds)"


def render(results: Results, settings: StudySettings) -> str:
    """The whole report."""
    metric = settings.objective.metric
    parts = [f"# Study {plain(settings.study_name)}", headline(results, settings), goal_sentence(settings.objective)]
    parts += [f"Note: {note}." for note in objective_notes((metric, settings.objective.logged_second))]
    parts += [f"**Note:** {results.same_runs}."] if results.same_runs else []
    selection = results.selection
    if selection is not None and (champion := champion_of(selection)) is not None:
        parts.append(best_section(champion.trial.params))
    elif results.best is not None:
        parts += [best_section(results.best.trial.params), _rests_on(results.best, settings)]
        parts += handed_on(results.best, settings)
    if selection is not None:
        parts.append(selection_section(selection, settings))
    if results.values is not None:
        parts.append(value_section(results.values))
    if results.front is not None:
        parts.append(front_section(results.front, picture=results.front_picture))
    if settings.is_designed and results.choices:
        parts.append(_cells(results.choices, settings))
    parts.append(_endings(results))
    if results.analysis is not None:
        level = results.analysis.whole.verdict.level
        parts += fitted_sections(results.isolated, metric=metric, verdict=level)
        parts.append(findings(results.analysis, metric=metric, pictures=results.pictures))
    else:
        parts.append(not_analysed(results.unanalysed))
    parts += [results.next_round] if results.next_round else []
    parts.append(files_section(results.files))
    return "\n\n".join(parts) + "\n"


def not_analysed(why: str = NOT_ANALYSED) -> str:
    """The section on what matters, where there is no analysis."""
    return f"{TITLE}\n\n{why}"


def best_section(params: Mapping[str, Any]) -> str:
    """The best configuration's parameters."""
    rows = [(name, shown(value)) for name, value in params.items()]
    return f"## Best configuration\n\n{table(('parameter', 'value'), rows)}"


def endings_section(ended: Mapping[str, int]) -> str:
    """How many trials ended how."""
    rows = [(name, str(count)) for name, count in ended.items()]
    return f"## How trials ended\n\n{table(('ending', 'trials'), rows)}"


def files_section(files: Mapping[str, str]) -> str:
    """Where the files lie."""
    return "## Files\n\n" + "\n".join(f"- {name}: {code(path)}" for name, path in files.items())


def _rests_on(best: Choice, settings: StudySettings) -> str:
    which = "last" if settings.objective.value == "last" else "best"
    seed = best.trial.user_attrs.get(schema.SEED)
    one = f"one training with seed {seed}" if seed is not None else "told by hand"
    trained = one if best.n == 1 else f"the mean of {best.n} trainings with different seeds"
    return (
        f"Value: {settings.objective.metric} at the {which} rung, {trained}. It is the best of all, so it is "
        "optimistic: expect somewhat worse on new data, and read the test metric of `studies.retrain`."
    )


def _cells(choices: Sequence[Choice], settings: StudySettings) -> str:
    names = settings.space.names
    rows = [
        (
            *(shown(choice.trial.params.get(name, "–")) for name in names),
            f"{choice.value:.4f}",
            _width(choice),
            str(choice.n),
        )
        for choice in choices[:MAX_CELLS]
    ]
    rest = f"\n\n{len(choices) - MAX_CELLS} more cells are in trials.csv." if len(choices) > MAX_CELLS else ""
    header = (*names, f"mean {settings.objective.metric}", "± 95 %", "n")
    note = "Means over training seeds, with Student's t interval; overlapping intervals do not tell cells apart."
    n_pruned = sum(choice.n_pruned for choice in choices[:MAX_CELLS])
    if n_pruned:
        lost = counted(n_pruned, "training of these cells was", "trainings of these cells were")
        note += (
            f" {lost} pruned: the means are over the trainings that were not, so they are too good for cells where "
            "some were."
        )
    return f"## Cells\n\n{table(header, rows)}{rest}\n\n{note}"


def _width(choice: Choice) -> str:
    return f"{choice.half_width:.4f}" if choice.half_width is not None else "–"


def _endings(results: Results) -> str:
    parts = [endings_section(results.ended)]
    if results.imports is not None:
        parts.append(f"{results.imports}. They fill no slots; models, analysis and the choice of the best count them.")
    if results.retried:
        parts.append(
            f"{counted(results.retried, 'retry', 'retries')} after an error, an interruption or a lost worker."
        )
    if results.ending_notes:
        parts.append("\n".join(f"- {note}" for note in results.ending_notes))
    if results.failed_for_good:
        messages = Counter(str(t.user_attrs.get(schema.FAILURE_MESSAGE, "no message")) for t in results.failed_for_good)
        lines = [f"- {count} × {message}" for message, count in messages.most_common(5)]
        parts.append("Points that failed at every try:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)
