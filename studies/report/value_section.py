"""The report's section on a scientific parameter: what each of its values gives, in Markdown and in one sentence."""

from __future__ import annotations

from studies.analysis.value_table import ValueTable, ValueTables
from studies.report.figures.values import NAME
from studies.report.value_files import markdown_of, notes_of, views_of, with_width
from studies.report.wording import listed


def value_section(tables: ValueTables) -> str:
    """Verdict, tables, where they disagree, and notes."""
    parts = [f"## {tables.main.name}, value by value", sentence(tables.main)]
    parts += [markdown_of(view) for view in views_of(tables)]
    parts.append(f"![{tables.main.name}](figures/{NAME}.png)")
    parts.append(
        "Means over training seeds; each half of the seeds is judged in the cell that the other half chooses. Values "
        "are compared seed by seed (paired t tests, Holm over all pairs): a tie is a difference that is not shown."
    )
    return "\n\n".join(filter(None, [*parts, *notes_of(tables)]))


def sentence(table: ValueTable) -> str:
    """Which value is best, with what it ties, and how sure that is."""
    best, ties = table.best, table.ties
    if best is None or best.metric is None:
        return f"No value of {table.name} has a result."
    how = "each at its best over the nuisance parameters" if table.view == "tuned" else "all else at its default"
    with_ties = f"; it ties with {listed([row.label for row in ties])}" if ties else ", and is shown to be the best"
    if len(table.rows) == 1:
        with_ties = ""
    return f"{table.name} = {best.label} gives {with_width(best.metric)} (n = {best.n}), {how}{with_ties}."
