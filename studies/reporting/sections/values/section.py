"""A scientific parameter of a designed study, value by value: the best one, how sure that is, and the costs.

`table.csv` has the same tables with every number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import ValueTable, ValueTables, value_tables
from studies.reporting.csv_table import Row, csv_text, estimate_cells, fields_of
from studies.reporting.figures.values import NAME, values_drawing
from studies.reporting.finding import Block, File, Finding, Table, bullets, paragraphs
from studies.reporting.sections.values.words import (
    against_best,
    caption_of,
    compared,
    disagreements_of,
    judged_at,
    seeds_needed,
    sentence,
)
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text
from studies.text.wording import NONE, fixed

PAGE = "table"
FILES = (*(f"{PAGE}.{ending}" for ending in ("csv", "md", "html", "tex")), f"figures/{NAME}.png", f"figures/{NAME}.csv")
COLUMNS = (
    *("view", "value", "nuisance", "n", "n_lost", "seconds", "convergence_seconds", "convergence_epochs"),
    *("convergence_samples", "metric", "metric_lo", "metric_hi", "test", "test_lo", "test_hi", "peak_memory_mb"),
    *("standing", "difference", "difference_lo", "difference_hi", "at_least", "more_seeds"),
    *("p_holm", "at_limit", "best_cell"),
)
MEASURED = ("training s", "convergence s", "epochs to conv.", "samples to conv.")
REST = ("test [95 %]", "peak MB", "n", "against the best")


def compute(view: StudyView) -> Finding | None:
    """Return the table of the scientific parameter. None for a search, or without values."""
    if view.design is None or not view.has_one_best:
        return None
    tables = value_tables(view.ended, view.design)
    return values_finding(tables) if tables is not None else None


def values_finding(tables: ValueTables) -> Finding:
    """Return verdict, tables, disagreements and notes."""
    views = [view for view in (tables.tuned, tables.fixed) if view is not None]
    headline = (sentence(tables.main, how=True), *(f"{told}." for told in disagreements_of(tables)))
    csv_rows = [_row(view, row) for view in views for row in view.rows]
    halves = "each half of the seeds is judged in the cell that the other half chooses, and " if tables.tuned else ""
    return Finding(
        f"{tables.main.name}, value by value",
        headline=headline,
        blocks=(
            *map(table_of, views),
            values_drawing(views, metric=views[0].metric),
            *paragraphs(f"Means over training seeds: {halves}values are compared seed by seed (paired t tests)."),
            *_compared(tables),
            *bullets([*tables.notes, *seeds_needed(tables)]),
            File(
                "table (csv)",
                f"{PAGE}.csv",
                csv_text(COLUMNS, csv_rows),
            ),
        ),
        page=PAGE,
    )


def table_of(view: ValueTable) -> Table:
    """Return one view's table for people."""
    names = _nuisance_names(view)
    header = (view.name, *names, *MEASURED, f"{view.metric} [95 %]", *REST)
    marks = tuple(row.standing.word for row in view.rows)
    rows = tuple(tuple(_cells(row, names, view.ranking.margin)) for row in view.rows)
    return Table(header, rows, f"{sentence(view)} {caption_of(view)}", marks)


def _compared(tables: ValueTables) -> Iterator[Block]:
    """Yield the disagreements of the two views."""
    told = compared(tables)
    if tables.disagreements:
        yield from paragraphs("Where the two disagree:")
        yield from bullets(told)
    else:
        yield from paragraphs(*told)


def _nuisance_names(view: ValueTable) -> list[str]:
    if view.view == "fixed":
        return []
    return list(dict.fromkeys(name for row in view.rows for cell in (row.nuisance, *row.judged) for name in cell))


def _cells(row: ValueRow, names: Sequence[str], margin: float | None) -> list[str]:
    epochs = NONE if row.convergence_epochs is None else f"{row.convergence_epochs:g}"
    samples = NONE if row.convergence_samples is None else f"{row.convergence_samples:.0f}"
    return [
        row.label,
        *(judged_at(row, name) for name in names),
        *(fixed(row.seconds, 2), fixed(row.convergence_seconds, 2), epochs, samples),
        *(estimate_text(row.metric), estimate_text(row.test)),
        *(fixed(row.peak_memory_mb, 0), str(row.n), against_best(row, margin=margin)),
    ]


def _row(view: ValueTable, row: ValueRow) -> Row:
    """Return a row of the CSV."""
    names = dict.fromkeys(chain(*row.judged))
    return {
        **fields_of(row),
        "view": view.view,
        "value": row.label,
        "nuisance": "; ".join(f"{name}={judged_at(row, name, written=str)}" for name in names),
        **estimate_cells("metric", row.metric, ends="metric"),
        **estimate_cells("test", row.test, ends="test"),
        "standing": row.standing.word,
        **estimate_cells("difference", row.standing.difference, ends="difference"),
        "at_least": row.standing.at_least,
        "more_seeds": row.standing.more_seeds,
        "p_holm": row.standing.p_holm,
        "at_limit": "; ".join(row.at_limit),
        "best_cell": "; ".join(f"{name}={value}" for name, value in row.nuisance.items()),
    }
