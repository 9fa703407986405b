"""A search's section on a scientific parameter: what each of its values gives at its best, by the fitted function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studies.reporting.csv_table import Row, write_csv
from studies.reporting.wording import table
from studies.text.wording import shown

if TYPE_CHECKING:
    from studies.analysis.fit import Fit
    from studies.analysis.values.fitted import FittedValue

FILE = "isolation.csv"
COLUMNS = ("parameter", "value", "best", "ci_lo", "ci_hi", "n_trials", "compared", "at")


def isolated(fit: Fit, names: Sequence[str], *, maximize: bool, metric: str) -> dict[str, tuple[FittedValue, ...]]:
    """Each scientific parameter of `names` with its values; without those that the fit does not hold. Nothing where the
    fit is not to be relied on."""
    from studies.analysis.values.fitted import fitted_values

    if fit.verdict.level == "unreliable":
        return {}
    found = {name: fitted_values(fit, name, maximize=maximize, metric=metric) for name in names}
    return {name: rows for name, rows in found.items() if rows}


def write_isolation(folder: Path, found: Mapping[str, Sequence[FittedValue]]) -> dict[str, str]:
    """Write isolation.csv, or remove that of an earlier report: label → path."""
    path = folder / FILE
    if not found:
        path.unlink(missing_ok=True)
        return {}
    write_csv(path, COLUMNS, [_row(name, row) for name, rows in found.items() for row in rows])
    return {"isolation": str(path)}


def fitted_sections(found: Mapping[str, Sequence[FittedValue]], *, metric: str, verdict: str) -> list[str]:
    """One section a parameter, in Markdown."""
    return [_section(name, rows, metric=metric, verdict=verdict) for name, rows in found.items()]


def _section(name: str, rows: Sequence[FittedValue], *, metric: str, verdict: str) -> str:
    others = list(rows[0].others)
    cells = [
        (
            shown(row.value),
            f"{row.best.estimate:.4f}",
            f"{row.best.lo:.4f} to {row.best.hi:.4f}",
            *(shown(row.others[other]) for other in others),
            str(row.n),
        )
        for row in rows
    ]
    note = (
        f"Each value at its best over the other parameters, by the fitted function (verdict: {verdict}); intervals "
        "that overlap do not tell values apart. For values that were trained and compared seed by seed: sampler=grid "
        "with replicates, or select=race with select.per_value=true."
    )
    at = rows[0].compared
    if at != "final":
        note = (
            f"**At {at}, not at the end:** many trials were pruned, and the survivors' final values would mislead. The "
            f"best value at the end may be another one: pruner=none compares final values. {note}"
        )
    said = metric if at == "final" else f"{metric} at {at}"
    header = (name, f"{said}, at its best", "95 % interval", *others, "trials")
    return f"## {name}, value by value\n\n{table(header, cells)}\n\n{note}"


def _row(name: str, row: FittedValue) -> Row:
    return {
        "parameter": name,
        "value": str(row.value),
        "best": row.best.estimate,
        "ci_lo": row.best.lo,
        "ci_hi": row.best.hi,
        "n_trials": row.n,
        "compared": row.compared,
        "at": "; ".join(f"{other}={value}" for other, value in row.others.items()),
    }
