"""What has to be tuned: the sentence, the table and the numbers, all of the same losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studies.reporting.csv_table import Row, estimate_cells
from studies.reporting.finding import Block, Heading, Paragraph, Table
from studies.reporting.wording import estimate_text
from studies.text.wording import NONE, listed, shown

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.tuning.tunability import Tunability

COLUMNS = (
    *("params", "default", "is_searched", "loss", "ci_lo", "ci_hi", "need", "best", "near", "possible", "worse"),
    *("tolerance", "verdict", "n_used", "scope"),
)
NEEDS = {"tune": "yes", "keep": "no", "open": "not known"}
JOINED = ("near", "possible", "worse", "scope")


def tuning_clause(analysis: Analysis, metric: str) -> str | None:
    """Return what has to be tuned, in words. None without verdict ok, or if nothing is decided."""
    rows = [row for row in analysis.tunability if row.level == "ok"]
    if analysis.whole.verdict.level != "ok" or not rows:
        return None
    needed = [row for row in rows if row.need == "tune"]
    if needed:
        first, then = needed[0], listed([row.name for row in needed[1:]])
        order = f"Tune {first.name} first{f', then {then}' if then else ''}"
        return f"{order}: {_held(first)} the best {metric} is worse by {estimate_text(first.loss, '.2g')}"
    if all(row.need == "keep" for row in rows) and len(rows) == len(analysis.tunability):
        least = f"{analysis.tolerance} in {metric} ({analysis.tolerance.origin})"
        return f"No parameter has to be tuned: each alone loses less than {least}"
    return None


def tuning_blocks(analysis: Analysis, metric: str, best: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the table of what has to be tuned. Nothing without a fit. `best` is the configuration of the best trial."""
    rows = analysis.tunability
    if not rows:
        return
    tolerance = analysis.tolerance
    header = (
        "parameter",
        "tune it",
        "default",
        "lost there",
        "best",
        f"within {tolerance} of the best",
        "surely worse",
    )
    note = (
        "Best: of the fitted function, while the best configuration is that of a trial. "
        f"Lost: how much worse the best {metric} is if the parameter keeps its default (the config's own value) and "
        "all others are tuned. A share of variance depends on how bad the worst corner is, this does not. Functions "
        f"drawn from the fit are optimised for it. Tune it: yes if the whole interval lies above {tolerance}, no if "
        f"below. A value is within {tolerance} of the best if that holds in at least half of the draws. It is surely "
        f"worse if the interval of its own loss lies above. {tolerance} is {tolerance.origin}."
    )
    if not all(row.is_searched for row in rows):
        note += " If the default is not among the searched values, the loss told is the median over the range."
    yield from (Heading("What has to be tuned"), Table(header, tuple(map(_cells, rows))), Paragraph(note))
    far = [f"{row.name}={shown(best[row.name])}" for row in rows if row.name in best and _is_far(row, best[row.name])]
    if far and analysis.whole.verdict.level != "unreliable":
        yield Paragraph(
            f"The best trial has {listed(far)}, which the fit does not find within {tolerance} of the best. It may "
            "have been lucky: select=race trains the best trials again on fresh seeds."
        )


def _is_far(row: Tunability, value: Any) -> bool:
    """Return whether a value is not among those within the tolerance of the best."""
    if not row.near or not row.matters:
        return False
    if row.axis.kind == "categorical":
        return value not in row.near
    return not row.near[0] <= value <= row.near[-1]


def tuning_rows(rows: Sequence[Tunability]) -> Iterator[Row]:
    """Yield the rows of tuning.csv."""
    for row in rows:
        joined = {name: "; ".join(map(str, values)) for name, values in _lists(row).items()}
        yield {**_plain(row), **joined, **estimate_cells("loss", row.loss)}


def tuning_records(rows: Sequence[Tunability]) -> list[dict[str, Any]]:
    """Return the rows for JSON: the same names, lists instead of joined names."""
    return [{**_plain(row), "loss": row.loss, **_lists(row)} for row in rows]


def _plain(row: Tunability) -> dict[str, Any]:
    return {
        "params": row.name,
        "default": row.default,
        "is_searched": row.is_searched,
        "need": row.need,
        "best": row.best,
        "tolerance": row.tolerance,
        "verdict": row.level,
        "n_used": row.n,
    }


def _lists(row: Tunability) -> dict[str, tuple[Any, ...]]:
    return {name: getattr(row, name) for name in JOINED}


def _held(row: Tunability) -> str:
    return f"at its default {shown(row.default)}" if row.is_searched else "at a value taken blindly"


def _cells(row: Tunability) -> tuple[str, ...]:
    where = f" (where {listed(row.scope)} {'is' if len(row.scope) == 1 else 'are'} active)" if row.scope else ""
    default = shown(row.default) if row.default is not None or row.is_searched else NONE
    return (
        f"{row.name}{where}",
        NEEDS[row.need],
        default if row.is_searched or default == NONE else f"{default} (not searched)",
        estimate_text(row.loss, ".2g"),
        shown(row.best),
        _range(row, row.near) or "not known",
        _worse(row) or NONE,
    )


def _range(row: Tunability, values: tuple[Any, ...]) -> str:
    if row.axis.kind == "categorical":
        return ", ".join(map(str, values))
    return " … ".join(_rounded(value) for value in dict.fromkeys(values))


def _worse(row: Tunability) -> str:
    """Return the values that surely lose more than the tolerance."""
    if row.axis.kind == "categorical":
        return ", ".join(map(str, row.worse))
    if not row.possible:
        return ""
    low, high = (row.axis.decode(end) for end in (row.axis.low, row.axis.high))
    below = f"< {_rounded(row.possible[0])}" if row.possible[0] > low else ""
    above = f"> {_rounded(row.possible[1])}" if row.possible[1] < high else ""
    return ", ".join(filter(None, [below, above]))


def _rounded(value: Any) -> str:
    """Return an end of a range. It lies between two values that were looked at, so two digits say enough."""
    return f"{value:.2g}" if isinstance(value, float) else str(value)
