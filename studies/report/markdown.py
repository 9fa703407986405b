"""`report.md`: a short report in Markdown, rendered from results that are already computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from studies import schema
from studies.analysis.importance import Importance
from studies.analysis.table import TrialsTable
from studies.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Results:
    """What the report tells. `ended` counts slots by how they ended."""

    best: FrozenTrial | None
    finished: int
    ended: Mapping[str, int]
    retried: int
    failed_for_good: Sequence[FrozenTrial]
    table: TrialsTable
    importances: Sequence[Importance]
    files: Mapping[str, str]


def headline(results: Results, settings: StudySettings) -> str:
    """One sentence: what came out, and what went wrong."""
    metric = settings.objective.metric
    done = f"{results.finished} of {settings.n_trials} trials finished"
    lost = len(results.failed_for_good)
    failures = f"; {lost} failed for good (error or killed), whose points have no result" if lost else ""
    more = "; the same command goes on" if results.finished < settings.n_trials else ""
    if results.best is None:
        return f"{done}, none of them with a value{failures}{more}."
    return f"Best {metric} {results.best.value:.4f} (trial {results.best.number}); {done}{failures}{more}."


def render(results: Results, settings: StudySettings) -> str:
    """The whole report."""
    parts = [f"# Study {settings.study_name}", headline(results, settings)]
    if results.best is not None:
        parts += [_best(results.best, settings)]
    parts += [_endings(results), _importance(results, settings), _files(results)]
    return "\n\n".join(parts) + "\n"


def _best(best: FrozenTrial, settings: StudySettings) -> str:
    rows = [(name, shown(value)) for name, value in best.params.items()]
    which = "last" if settings.objective.value == "last" else "best"
    seed = best.user_attrs.get(schema.SEED)
    note = (
        f"Value: {settings.objective.metric} at the {which} rung, one training with seed {seed}. It is the best of all "
        "trials, so it is optimistic: expect somewhat less on new data, and read the test metric of `studies.retrain`."
    )
    return "\n\n".join(["## Best configuration", _table(("parameter", "value"), rows), note])


def _endings(results: Results) -> str:
    rows = [(name, str(count)) for name, count in results.ended.items()]
    notes = (
        f"\n\n{counted(results.retried, 'retry', 'retries')} after an error or a lost worker."
        if results.retried
        else ""
    )
    return f"## How trials ended\n\n{_table(('ending', 'trials'), rows)}{notes}"


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
