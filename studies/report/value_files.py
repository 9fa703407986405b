"""The table of a scientific parameter as files: CSV with every number, Markdown, HTML and LaTeX as people read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from studies.analysis.paired import Mean
from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import Disagreement, ValueTable, ValueTables
from studies.report.csv_table import Row, write_csv
from studies.report.figures.drawing import write_drawing
from studies.report.figures.values import NAME, values_drawing
from studies.report.value_pages import Grid, html_page, latex_comment, latex_table
from studies.report.wording import NONE, fixed, listed, p_value, shown, table

MEASURED = ("training s", "convergence s", "epochs to conv.", "samples to conv.")
REST = ("test ± 95 %", "peak MB", "n", "against the best")
COLUMNS = (
    *("view", "value", "nuisance", "n", "n_lost", "seconds", "convergence_seconds", "convergence_epochs"),
    *("convergence_samples", "metric", "metric_lo", "metric_hi", "test", "test_lo", "test_hi", "peak_memory_mb"),
    *("standing", "difference", "difference_lo", "difference_hi", "p_holm", "at_limit", "best_cell"),
)
FILES = ("table.csv", "table.md", "table.html", "table.tex")
UNCHANGED = "From the defaults to tuned, no pair of values changes its difference beyond what the seeds explain."


def write_value_files(folder: Path, tables: ValueTables, *, title: str) -> dict[str, str]:
    """Write all four into `folder`, and the figure into its folder of figures; label → path."""
    paths = {suffix: folder / f"table.{suffix}" for suffix in ("csv", "md", "html", "tex")}
    views = views_of(tables)
    write_csv(paths["csv"], COLUMNS, [_csv_row(view, row) for view in views for row in view.rows])
    paths["md"].write_text(
        f"# {title}\n\n{sentence(tables.main)}\n\n"
        + "\n\n".join([*(markdown_of(view) for view in views), *notes_of(tables)])
        + "\n",
        encoding="utf-8",
    )
    told, grids = [*_compared(tables), *tables.notes], [_grid(view) for view in views]
    page = html_page(grids, title=title, lead=sentence(tables.main), sentences=told)
    paths["html"].write_text(page, encoding="utf-8")
    latex = "\n".join(
        latex_table(replace(grid, caption=f"{sentence(view)} {grid.caption}"), title=title)
        for grid, view in zip(grids, views, strict=True)
    )
    paths["tex"].write_text(latex_comment(told) + latex, encoding="utf-8")
    write_drawing(folder / "figures", values_drawing(views, metric=views[0].metric))
    return {f"table ({suffix})": str(path) for suffix, path in paths.items()}


def remove_value_files(folder: Path) -> None:
    """Remove what an earlier study left in `folder`."""
    for name in (*FILES, f"figures/{NAME}.png", f"figures/{NAME}.csv"):
        (folder / name).unlink(missing_ok=True)


def views_of(tables: ValueTables) -> list[ValueTable]:
    """The tables to show, the main one first."""
    return [view for view in (tables.tuned, tables.fixed) if view is not None]


def caption_of(view: ValueTable) -> str:
    """What the numbers of a table are, and what a tie is."""
    n_pairs = len(view.ranking.comparisons)
    if not n_pairs:
        return _what(view)
    over = f" over all {n_pairs} pairs" if n_pairs > 1 else ""
    return (
        f"{_what(view)} A tie is not shown to differ from the best, which does not make it equal: p is corrected{over} "
        "(Holm), the 95 % interval before it is that of one pair alone."
    )


def _what(view: ValueTable) -> str:
    if view.is_plain:
        return "Means over training seeds; no nuisance parameter was varied."
    if view.view == "fixed":
        return "All else at its default (mode=fixed), as in textbooks."
    return "Each value at its best over the nuisance parameters (mode=tuned)."


def markdown_of(view: ValueTable) -> str:
    """The table in Markdown, with its caption."""
    grid = _grid(view)
    return f"{grid.caption}\n\n{table(grid.header, grid.rows)}"


def _grid(view: ValueTable) -> Grid:
    names = _nuisance_names(view)
    rows = [_cells(row, names) for row in view.rows]
    return Grid(caption_of(view), _header(view, names), rows, [row.standing.word for row in view.rows])


def notes_of(tables: ValueTables) -> list[str]:
    """What a reader must know, and where the two views disagree."""
    parts = _compared(tables)
    if tables.disagreements:
        parts = ["Where the two disagree:\n\n" + "\n".join(f"- {sentence}" for sentence in parts)]
    return [*parts, "\n".join(f"- {note}" for note in tables.notes)]


def _compared(tables: ValueTables) -> list[str]:
    """Where the two views disagree, or that they do not; nothing where no pair of values has a result in both."""
    if tables.tuned is None or tables.fixed is None:
        return []
    pairs = zip(tables.tuned.rows, tables.fixed.rows, strict=True)
    is_compared = sum(tuned.metric is not None and fixed.metric is not None for tuned, fixed in pairs) > 1
    return disagreements_of(tables) or ([UNCHANGED] if is_compared else [])


def disagreements_of(tables: ValueTables) -> list[str]:
    """One sentence a pair of values that compare differently at the defaults and tuned."""
    return [_disagreement(found) for found in tables.disagreements]


def _disagreement(found: Disagreement) -> str:
    change = found.change
    before, after = change.before.value, change.after.value
    fixed_by, tuned_by = (
        f"by {abs(value):.4f}" + ("" if verdict else " (not shown)")
        for value, verdict in ((before, found.fixed), (after, found.tuned))
    )
    turned = "" if (before < 0) == (after < 0) else f"{_direction(after)} "
    return (
        f"{found.first} is {_direction(before)} than {found.second} {fixed_by} at the defaults, {turned}{tuned_by} "
        f"when each is tuned: the difference changes by {_signed(change.change.value)}{_ends(change.change)} "
        f"(p {p_value(change.p_holm)}, Holm)"
    )


def _direction(difference: float) -> str:
    return "lower" if difference < 0 else "higher"


def sentence(table: ValueTable) -> str:
    """Which value is best, how it was judged, how sure that is, and which others are not shown to be worse."""
    best, ties = table.best, [row.label for row in table.ties]
    whole = f"all {table.n_seeds} seeds" if table.n_seeds not in (None, 1) else "its seed"
    if best is None or best.metric is None:
        return f"No value of {table.name} has a result: that needs a cell that {whole} trained to the end."
    without = [row.label for row in table.rows if row.metric is None]
    others = f"; {listed(ties)} {'is' if len(ties) == 1 else 'are'} not shown to be worse" if ties else ""
    if len(table.rows) > 1 and not ties and not without:
        others = ", and is shown to be the best"
    if without:
        others += f"; nothing is known of {listed(without)}, without a cell that {whole} trained to the end"
    return f"{table.name} = {best.label} gives {with_width(best.metric)} (n = {best.n}){_how(table)}{others}."


def _how(table: ValueTable) -> str:
    """How a table's values are judged, as a clause."""
    if table.is_plain:
        return ""
    if table.view == "fixed":
        return ", all else at its default"
    by = "the other half of the seeds" if table.is_honest else "the very values that judge it"
    return f", each value at its best over the nuisance parameters (a cell chosen by {by})"


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


def with_width(found: Mean | None) -> str:
    """A mean with half its interval: 0.9512 ± 0.0031."""
    if found is None:
        return NONE
    value = f"{_rounded(found.value):.4f}"
    if found.half_width is None:
        return f"{value} (all equal)" if found.n > 1 else value
    return f"{value} ± {found.half_width:.4f}" if _rounded(found.half_width) else f"{value} ± {found.half_width:.1g}"


def against_best(row: ValueRow) -> str:
    """How a row stands to the best, in words."""
    standing = row.standing
    if standing.word == "best":
        return "best"
    if standing.word == "none" or standing.difference is None:
        return "no value"
    found = standing.difference
    difference = f"{_signed(found.value)}{_ends(found)}, p {p_value(standing.p_holm)} (Holm)"
    return f"tie, {difference}" if standing.word == "tie" else difference


def _ends(found: Mean) -> str:
    """The interval of a difference, with a space before it; the seeds may all agree, or there may be one only."""
    if found.lo is None or found.hi is None:
        return " (all equal)" if found.n > 1 else ""
    return f" [{_rounded(found.lo):.4f}, {_rounded(found.hi):.4f}]"


def _signed(value: float) -> str:
    """A difference with its sign; nothing has none."""
    return f"{value:+.4f}" if _rounded(value) else "0.0000"


def _rounded(value: float) -> float:
    """To the digits that are shown, without a sign at zero."""
    return round(value, 4) + 0.0


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
