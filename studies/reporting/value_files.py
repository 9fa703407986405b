"""The table of a scientific parameter as files: CSV with every number, Markdown, HTML and LaTeX as people read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from studies.analysis.paired import Mean
from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import ValueTable, ValueTables
from studies.reporting.csv_table import Row, write_csv
from studies.reporting.figures.drawing import write_drawing
from studies.reporting.figures.values import NAME, values_drawing
from studies.reporting.value_pages import Grid, html_page, latex_comment, latex_table
from studies.reporting.value_words import against_best, caption_of, compared, notes_of, sentence, with_width
from studies.reporting.wording import plain, table
from studies.text.printable import write_page
from studies.text.wording import NONE, fixed, shown

MEASURED = ("training s", "convergence s", "epochs to conv.", "samples to conv.")
REST = ("test ± 95 %", "peak MB", "n", "against the best")
COLUMNS = (
    *("view", "value", "nuisance", "n", "n_lost", "seconds", "convergence_seconds", "convergence_epochs"),
    *("convergence_samples", "metric", "metric_lo", "metric_hi", "test", "test_lo", "test_hi", "peak_memory_mb"),
    *("standing", "difference", "difference_lo", "difference_hi", "p_holm", "at_limit", "best_cell"),
)
FILES = ("table.csv", "table.md", "table.html", "table.tex")


def write_value_files(folder: Path, tables: ValueTables, *, title: str) -> dict[str, str]:
    """Write all four into `folder`, and the figure into its folder of figures; label → path."""
    paths = {suffix: folder / f"table.{suffix}" for suffix in ("csv", "md", "html", "tex")}
    views = views_of(tables)
    write_csv(paths["csv"], COLUMNS, [_csv_row(view, row) for view in views for row in view.rows])
    write_page(
        paths["md"],
        f"# {plain(title)}\n\n{sentence(tables.main)}\n\n"
        + "\n\n".join([*(markdown_of(view) for view in views), *notes_of(tables)])
        + "\n",
    )
    told, grids = [*compared(tables), *tables.notes], [_grid(view) for view in views]
    page = html_page(grids, title=title, lead=sentence(tables.main), sentences=told)
    write_page(paths["html"], page)
    latex = "\n".join(
        latex_table(replace(grid, caption=f"{sentence(view)} {grid.caption}"), title=title)
        for grid, view in zip(grids, views, strict=True)
    )
    write_page(paths["tex"], latex_comment(told) + latex)
    write_drawing(folder / "figures", values_drawing(views, metric=views[0].metric))
    return {f"table ({suffix})": str(path) for suffix, path in paths.items()}


def remove_value_files(folder: Path) -> None:
    """Remove what an earlier study left in `folder`."""
    for name in (*FILES, f"figures/{NAME}.png", f"figures/{NAME}.csv"):
        (folder / name).unlink(missing_ok=True)


def views_of(tables: ValueTables) -> list[ValueTable]:
    """The tables to show, the main one first."""
    return [view for view in (tables.tuned, tables.fixed) if view is not None]


def markdown_of(view: ValueTable) -> str:
    """The table in Markdown, with its caption."""
    grid = _grid(view)
    return f"{grid.caption}\n\n{table(grid.header, grid.rows)}"


def _grid(view: ValueTable) -> Grid:
    names = _nuisance_names(view)
    rows = [_cells(row, names) for row in view.rows]
    return Grid(caption_of(view), _header(view, names), rows, [row.standing.word for row in view.rows])


def _nuisance_names(view: ValueTable) -> list[str]:
    if view.view == "fixed":
        return []
    return list(dict.fromkeys(name for row in view.rows for cell in (row.nuisance, *row.judged) for name in cell))


def _header(view: ValueTable, names: Sequence[str]) -> tuple[str, ...]:
    return (view.name, *names, *MEASURED, f"{view.metric} ± 95 %", *REST)


def _cells(row: ValueRow, names: Sequence[str]) -> list[str]:
    epochs = NONE if row.convergence_epochs is None else f"{row.convergence_epochs:g}"
    samples = NONE if row.convergence_samples is None else f"{row.convergence_samples:.0f}"
    return [
        row.label,
        *(_judged_at(row, name) for name in names),
        *(fixed(row.seconds, 2), fixed(row.convergence_seconds, 2), epochs, samples),
        *(with_width(row.metric), with_width(row.test), fixed(row.peak_memory_mb, 0), str(row.n), against_best(row)),
    ]


def _judged_at(row: ValueRow, name: str, *, written: Callable[[object], str] = shown) -> str:
    """What the cells that judge a row have of nuisance parameter `name`: two values where they differ."""
    values = [cell.get(name, NONE) for cell in row.judged]
    return ", ".join(map(written, values if len(set(values)) > 1 else values[:1])) or NONE


def _csv_row(view: ValueTable, row: ValueRow) -> Row:
    standing = row.standing
    return {
        "view": view.view,
        "value": row.label,
        "nuisance": "; ".join(
            f"{name}={_judged_at(row, name, written=str)}" for name in dict.fromkeys(chain(*row.judged))
        ),
        "n": row.n,
        "n_lost": row.n_lost,
        "seconds": row.seconds,
        "convergence_seconds": row.convergence_seconds,
        "convergence_epochs": row.convergence_epochs,
        "convergence_samples": row.convergence_samples,
        **_mean_columns("metric", row.metric),
        **_mean_columns("test", row.test),
        "peak_memory_mb": row.peak_memory_mb,
        "standing": standing.word,
        **_mean_columns("difference", standing.difference),
        "p_holm": standing.p_holm,
        "at_limit": "; ".join(row.at_limit),
        "best_cell": "; ".join(f"{name}={value}" for name, value in row.nuisance.items()),
    }


def _mean_columns(name: str, found: Mean | None) -> Mapping[str, float | None]:
    if found is None:
        return {name: None, f"{name}_lo": None, f"{name}_hi": None}
    return {name: found.value, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
