"""The table of a scientific parameter as files: CSV with every number, Markdown, HTML and LaTeX as people read it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.analysis.paired import Mean
from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import ValueTable, ValueTables
from studies.report.csv_table import Row, write_csv
from studies.report.figures.drawing import write_drawing
from studies.report.figures.values import NAME, values_drawing
from studies.report.wording import NONE, fixed, listed, p_value, shown, table

MEASURED = ("training s", "convergence s", "epochs to conv.", "samples to conv.")
REST = ("test ± 95 %", "peak MB", "n", "against the best")
COLUMNS = (
    *("view", "value", "nuisance", "n", "n_lost", "seconds", "convergence_seconds", "convergence_epochs"),
    *("convergence_samples", "metric", "metric_lo", "metric_hi", "test", "test_lo", "test_hi", "peak_memory_mb"),
    *("standing", "difference", "difference_lo", "difference_hi", "p_holm", "at_limit"),
)
FILES = ("table.csv", "table.md", "table.html", "table.tex")
LATEX = str.maketrans({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}"})
SYMBOLS = {"±": r"$\pm$", "×": r"$\times$", "–": "--", "<": "$<$"}
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:75rem}table{border-collapse:collapse}"
    "th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child"
    "{text-align:left}tr.best{font-weight:600}tr.best,tr.tie{background:#eef6ee}"
    "caption{text-align:left;padding:.5rem 0}"
)


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
    paths["html"].write_text(_html(tables, title), encoding="utf-8")
    paths["tex"].write_text("\n".join(_latex(view, title) for view in views), encoding="utf-8")
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
    """What the numbers of a table are."""
    if view.view == "fixed":
        return "All else at its default (mode=fixed), as in textbooks."
    return "Each value at its best over the nuisance parameters (mode=tuned)."


def markdown_of(view: ValueTable) -> str:
    """The table in Markdown, with its caption."""
    names = _nuisance_names(view)
    rows = [_cells(row, names) for row in view.rows]
    return f"{caption_of(view)}\n\n{table(_header(view, names), rows)}"


def notes_of(tables: ValueTables) -> list[str]:
    """What a reader must know, and where the two views disagree."""
    found = [f"- {sentence}" for sentence in disagreements_of(tables)]
    parts = ["Where the two disagree:\n\n" + "\n".join(found)] if found else []
    return [*parts, "\n".join(f"- {note}" for note in tables.notes)]


def disagreements_of(tables: ValueTables) -> list[str]:
    """One sentence a pair of values that compare differently at the defaults and tuned."""
    words = {1: "is higher than", 0: "ties with", -1: "is lower than"}
    return [
        f"{d.first} {words[d.fixed]} {d.second} at the defaults, and {words[d.tuned]} it when each is tuned"
        for d in tables.disagreements
    ]


def sentence(table: ValueTable) -> str:
    """Which value is best, with what it ties, and how sure that is."""
    best, ties = table.best, table.ties
    if best is None or best.metric is None:
        return f"No value of {table.name} has a result."
    how = "each at its best over the nuisance parameters" if table.view == "tuned" else "all else at its default"
    without = [row.label for row in table.rows if row.metric is None]
    with_ties = f"; it ties with {listed([row.label for row in ties])}" if ties else ""
    if len(table.rows) > 1 and not ties and not without:
        with_ties = ", and is shown to be the best"
    with_ties += f"; nothing is known of {listed(without)}" if without else ""
    return f"{table.name} = {best.label} gives {with_width(best.metric)} (n = {best.n}), {how}{with_ties}."


def _nuisance_names(view: ValueTable) -> list[str]:
    return list(dict.fromkeys(name for row in view.rows for name in row.nuisance)) if view.view == "tuned" else []


def _header(view: ValueTable, names: Sequence[str]) -> tuple[str, ...]:
    return (view.name, *names, *MEASURED, f"{view.metric} ± 95 %", *REST)


def _cells(row: ValueRow, names: Sequence[str]) -> list[str]:
    epochs = NONE if row.convergence_epochs is None else f"{row.convergence_epochs:g}"
    samples = NONE if row.convergence_samples is None else f"{row.convergence_samples:.0f}"
    return [
        row.label,
        *(shown(row.nuisance.get(name, NONE)) for name in names),
        *(fixed(row.seconds, 2), fixed(row.convergence_seconds, 2), epochs, samples),
        *(with_width(row.metric), with_width(row.test), fixed(row.peak_memory_mb, 0), str(row.n), against_best(row)),
    ]


def with_width(found: Mean | None) -> str:
    """A mean with half its interval: 0.9512 ± 0.0031."""
    if found is None:
        return NONE
    return f"{found.value:.4f}" + (f" ± {found.half_width:.4f}" if found.half_width is not None else "")


def against_best(row: ValueRow) -> str:
    """How a row stands to the best, in words."""
    standing = row.standing
    if standing.word == "best":
        return "best"
    if standing.word == "none" or standing.difference is None:
        return "no value"
    difference = f"{standing.difference.value:+.4f} (p {p_value(standing.p_holm)})"
    return f"tie, {difference}" if standing.word == "tie" else difference


def _csv_row(view: ValueTable, row: ValueRow) -> Row:
    standing = row.standing
    return {
        "view": view.view,
        "value": row.label,
        "nuisance": "; ".join(f"{name}={value}" for name, value in row.nuisance.items()),
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
    }


def _mean_columns(name: str, found: Mean | None) -> Mapping[str, float | None]:
    if found is None:
        return {name: None, f"{name}_lo": None, f"{name}_hi": None}
    return {name: found.value, f"{name}_lo": found.lo, f"{name}_hi": found.hi}


def _html(tables: ValueTables, title: str) -> str:
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for view in views_of(tables):
        names = _nuisance_names(view)
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in _header(view, names))
        body = "".join(
            f'<tr class="{row.standing.word}">'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row, names))
            + "</tr>\n"
            for row in view.rows
        )
        caption = html.escape(caption_of(view))
        parts.append(
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
        )
    sentences = [*disagreements_of(tables), *tables.notes]
    parts.append("<ul>" + "".join(f"<li>{html.escape(sentence)}</li>\n" for sentence in sentences) + "</ul>")
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _latex(view: ValueTable, title: str) -> str:
    names = _nuisance_names(view)
    header = _header(view, names)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)}: {_escaped(caption_of(view))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\hline",
        " & ".join(map(_escaped, header)) + r" \\",
        r"\hline",
        *(" & ".join(map(_escaped, _cells(row, names))) + r" \\" for row in view.rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    escaped = text.replace("\\", r"\textbackslash{}").translate(LATEX)
    for symbol, written in SYMBOLS.items():
        escaped = escaped.replace(symbol, written)
    return escaped
