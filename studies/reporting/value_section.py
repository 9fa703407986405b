"""The report's section on a scientific parameter: what each of its values gives, in Markdown and in one sentence."""

from __future__ import annotations

from studies.analysis.values.table import ValueTables
from studies.reporting.figures.values import NAME
from studies.reporting.value_files import markdown_of, views_of
from studies.reporting.value_words import notes_of, sentence
from studies.reporting.wording import plain


def value_section(tables: ValueTables) -> str:
    """Verdict, tables, where they disagree, and notes."""
    parts = [f"## {tables.main.name}, value by value", sentence(tables.main)]
    parts += [markdown_of(view) for view in views_of(tables)]
    parts.append(f"![{plain(tables.main.name)}](figures/{NAME}.png)")
    halves = "each half of the seeds is judged in the cell that the other half chooses; " if tables.tuned else ""
    parts.append(f"Means over training seeds; {halves}values are compared seed by seed (paired t tests).")
    return "\n\n".join(filter(None, [*parts, *notes_of(tables)]))
