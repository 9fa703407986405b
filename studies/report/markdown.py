"""`report.md`: a short report in Markdown, rendered from results that are already computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.importance import Importance
from studies.analysis.table import TrialsTable
from studies.settings import StudySettings

MAX_CELLS = 12  # cells of a designed experiment that the report lists


@dataclass(frozen=True, slots=True)
class Results:
    """What the report tells. `choices` are the configurations, best first; `ended` counts slots by how they ended;
    `failed_for_good` are the last tries of points that failed too often, whose slots got new points if `redraws`."""

    choices: Sequence[Choice]
    finished: int
    ended: Mapping[str, int]
    retried: int
    failed_for_good: Sequence[FrozenTrial]
    redraws: bool
    table: TrialsTable
    importances: Sequence[Importance]
    files: Mapping[str, str]

    @property
    def best(self) -> Choice | None:
        """The best configuration."""
        return self.choices[0] if self.choices else None


def headline(results: Results, settings: StudySettings) -> str:
    """One sentence: what came out, and what went wrong."""
    done = f"{results.finished} of {max(settings.n_trials, results.finished)} trials finished"
    lost = counted(len(results.failed_for_good), "point", "points")
    fate = "replaced by others" if results.redraws else "with no result"
    failures = f"; {lost} failed for good (error or killed), {fate}" if results.failed_for_good else ""
    more = "; the same command goes on" if results.finished < settings.n_trials else ""
    if results.best is None:
        return f"{done}, none of them with a value{failures}{more}."
    return f"Best {settings.objective.metric} {valued(results.best)}; {done}{failures}{more}."


def valued(choice: Choice) -> str:
    """A choice's value and what it rests on."""
    if choice.half_width is None:
        return f"{choice.value:.4f} (trial {choice.trial.number})"
    return f"{choice.value:.4f} ± {choice.half_width:.4f} (mean of {choice.n} seeds)"


def render(results: Results, settings: StudySettings) -> str:
    """The whole report."""
    parts = [f"# Study {settings.study_name}", headline(results, settings)]
    if results.best is not None:
        parts.append(_best(results.best, settings))
    if settings.is_designed and results.choices:
        parts.append(_cells(results.choices, settings))
    parts += [_endings(results), _importance(results, settings), _files(results)]
    return "\n\n".join(parts) + "\n"


def _best(best: Choice, settings: StudySettings) -> str:
    rows = [(name, shown(value)) for name, value in best.trial.params.items()]
    which = "last" if settings.objective.value == "last" else "best"
    seed = best.trial.user_attrs.get(schema.SEED)
    trained = (
        f"one training with seed {seed}" if best.n == 1 else f"the mean of {best.n} trainings with different seeds"
    )
    note = (
        f"Value: {settings.objective.metric} at the {which} rung, {trained}. It is the best of all, so it is "
        "optimistic: expect somewhat less on new data, and read the test metric of `studies.retrain`."
    )
    return "\n\n".join(["## Best configuration", _table(("parameter", "value"), rows), note])


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
    return f"## Cells\n\n{_table(header, rows)}{rest}\n\n{note}"


def _width(choice: Choice) -> str:
    return f"{choice.half_width:.4f}" if choice.half_width is not None else "–"


def _endings(results: Results) -> str:
    rows = [(name, str(count)) for name, count in results.ended.items()]
    parts = ["## How trials ended", _table(("ending", "trials"), rows)]
    if results.retried:
        parts.append(
            f"{counted(results.retried, 'retry', 'retries')} after an error, an interruption or a lost worker."
        )
    if results.failed_for_good:
        messages = Counter(str(t.user_attrs.get(schema.FAILURE_MESSAGE, "no message")) for t in results.failed_for_good)
        lines = [f"- {count} × {message}" for message, count in messages.most_common(5)]
        parts.append("Points that failed at every try:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _importance(results: Results, settings: StudySettings) -> str:
    title = "## Importance of each parameter"
    n = len(results.table.y)
    if not results.importances:
        return f"{title}\n\nNot computed: it needs at least 10 trials with differing values, and there are {n}."
    rows = [
        (
            i.name,
            f"{i.estimate:.3f}",
            f"{i.ci_lo:.3f}–{i.ci_hi:.3f}",
            f"{i.null:.3f}",
            "yes" if i.is_above_noise else "no",
        )
        for i in results.importances
    ]
    shown_policy = "final values" if results.table.policy == "final" else f"values at {results.table.policy}"
    left_out = f", {results.table.n_left_out} finished trials without one left out" if results.table.n_left_out else ""
    conditional = [name for name in settings.space.names if name not in results.table.names]
    absent = f" Conditional parameters are not ranked here: {', '.join(conditional)}." if conditional else ""
    note = (
        f"Share of the variance of {settings.objective.metric} that the parameter explains alone (fANOVA on the search "
        f"scale; n = {n}, {shown_policy}{left_out}). Interval: bootstrap over trials, 95 %. Null: what shuffled values "
        f"give in 95 % of cases. Interactions are not in this table.{absent}"
    )
    if settings.sampler.name not in ("random", "qmc", "grid"):
        note += f" {settings.sampler.name} concentrates its trials near good points, which blurs these shares."
    return "\n\n".join([title, _table(("parameter", "share", "95 % interval", "null", "above noise"), rows), note])


def _files(results: Results) -> str:
    return "## Files\n\n" + "\n".join(f"- {name}: `{path}`" for name, path in results.files.items())


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun: 1 retry, 2 retries."""
    return f"{n} {one if n == 1 else many}"


def shown(value: object) -> str:
    """A parameter's value with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
