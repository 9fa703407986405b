"""The report's section on a scientific parameter: what each of its values gives, in Markdown and in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from studies.analysis.values.row import DesignedStudy
from studies.analysis.values.table import ValueTables, value_tables
from studies.config.settings import StudySettings
from studies.reporting.figures.values import NAME
from studies.reporting.value_files import markdown_of, views_of
from studies.reporting.value_words import notes_of, sentence
from studies.reporting.wording import plain


def tables_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> ValueTables | None:
    """Return the tables of a designed study's finished `trials`; None for a search."""
    objective, budget = settings.objective, settings.budget
    study = DesignedStudy(
        space=settings.space,
        config=settings.template,
        metric=objective.metric,
        maximize=objective.direction == "maximize",
        tolerance=objective.tolerance,
        replicates=settings.replicates,
        n_trials=settings.n_trials,
        n_rungs=budget.rungs,
        has_epochs=budget.unit == "epochs",
        varies_nuisance=settings.template.get("mode") != "fixed",
    )
    return value_tables(trials, study) if settings.is_designed else None


def value_section(tables: ValueTables) -> str:
    """Verdict, tables, where they disagree, and notes."""
    parts = [f"## {tables.main.name}, value by value", sentence(tables.main)]
    parts += [markdown_of(view) for view in views_of(tables)]
    parts.append(f"![{plain(tables.main.name)}](figures/{NAME}.png)")
    halves = "each half of the seeds is judged in the cell that the other half chooses; " if tables.tuned else ""
    parts.append(f"Means over training seeds; {halves}values are compared seed by seed (paired t tests).")
    return "\n\n".join(filter(None, [*parts, *notes_of(tables)]))
