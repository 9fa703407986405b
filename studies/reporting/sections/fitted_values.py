"""A scientific parameter of a search: the best result of each value, by the fitted function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studies.analysis.values.fitted import FittedValue, fitted_values
from studies.reporting.csv_table import Row, csv_text, estimate_cells
from studies.reporting.finding import Block, File, Finding, Paragraph, Table
from studies.reporting.view import StudyView
from studies.reporting.wording import interval_text
from studies.text.wording import fixed, shown

FILES = ("isolation.csv",)
COLUMNS = ("parameter", "value", "best", "ci_lo", "ci_hi", "n_trials", "compared", "at")


def compute(view: StudyView) -> Finding | None:
    """Return the values of each scientific parameter. None without such a parameter or a reliable fit."""
    if view.settings is None or view.settings.is_designed or not view.is_analysed:
        return None
    fit = view.analysis.whole
    if fit.verdict.level == "unreliable":
        return None
    names = [parameter.name for parameter in view.settings.space if parameter.role == "scientific"]
    found = {name: fitted_values(fit, name, maximize=view.maximize, metric=view.metric) for name in names}
    found = {name: rows for name, rows in found.items() if rows}
    if not found:
        return None
    text = csv_text(COLUMNS, [_row(name, row) for name, rows in found.items() for row in rows])
    blocks = [
        block for name, rows in found.items() for block in value_blocks(name, rows, view.metric, fit.verdict.level)
    ]
    title = f"{', '.join(found)}, value by value"
    return Finding(title, fit.verdict.level, blocks=(*blocks, File("isolation", FILES[0], text)))


def value_blocks(name: str, rows: Sequence[FittedValue], metric: str, verdict: str) -> Iterator[Block]:
    """Yield the table of one parameter, and the meaning of its numbers."""
    others = list(rows[0].others)
    cells = tuple(
        (
            shown(row.value),
            fixed(row.best.value, 4),
            interval_text(row.best),
            *(shown(row.others[other]) for other in others),
            str(row.n),
        )
        for row in rows
    )
    at = rows[0].compared
    said = metric if at == "final" else f"{metric} at {at}"
    yield Table((name, f"{said}, at its best", "95 % interval", *others, "trials"), cells)
    if at != "final":
        yield Paragraph(
            ": trials are compared there. The best value at the end may be another one.",
            lead=f"At {at}, not at the end",
        )
    yield Paragraph(
        f"Each value at its best over the other parameters, by the fitted function (verdict: {verdict}). Intervals "
        "that overlap do not tell values apart. For values that were trained and compared seed by seed: sampler=grid "
        "with replicates, or select=race with select.per_value=true."
    )


def _row(name: str, row: FittedValue) -> Row:
    return {
        "parameter": name,
        "value": str(row.value),
        **estimate_cells("best", row.best),
        "n_trials": row.n,
        "compared": row.compared,
        "at": "; ".join(f"{other}={value}" for other, value in row.others.items()),
    }
