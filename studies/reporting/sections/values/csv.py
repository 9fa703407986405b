"""`table.csv`: the table of a scientific parameter with every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from studies.analysis.estimate import Estimate
from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import ValueTable
from studies.reporting.csv_table import Row, csv_text
from studies.reporting.sections.values.words import judged_at

COLUMNS = (
    *("view", "value", "nuisance", "n", "n_lost", "seconds", "convergence_seconds", "convergence_epochs"),
    *("convergence_samples", "metric", "metric_lo", "metric_hi", "test", "test_lo", "test_hi", "peak_memory_mb"),
    *("standing", "difference", "difference_lo", "difference_hi", "p_holm", "at_limit", "best_cell"),
)


def values_csv(views: Sequence[ValueTable]) -> str:
    """Return the rows of all views."""
    return csv_text(COLUMNS, [_row(view, row) for view in views for row in view.rows])


def _row(view: ValueTable, row: ValueRow) -> Row:
    standing = row.standing
    return {
        "view": view.view,
        "value": row.label,
        "nuisance": "; ".join(
            f"{name}={judged_at(row, name, written=str)}" for name in dict.fromkeys(chain(*row.judged))
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


def _mean_columns(name: str, found: Estimate | None) -> Mapping[str, float | None]:
    if found is None:
        return {name: None, f"{name}_lo": None, f"{name}_hi": None}
    return {name: found.value, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
