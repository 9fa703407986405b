"""The table of a scientific parameter in words: verdict, caption, notes and cells."""

from __future__ import annotations

from collections.abc import Callable

from studies.analysis.values.row import ValueRow
from studies.analysis.values.table import Disagreement, ValueTable, ValueTables
from studies.reporting.wording import FEWEST_OF_TIE, estimate_text
from studies.text.wording import NONE, counted, listed, p_value, shown

UNCHANGED = "From the defaults to tuned, no pair of values changes its difference beyond what the seeds explain."


def sentence(table: ValueTable, *, how: bool = False) -> str:
    """Return the verdict: the best value with its interval, and its ties.

    With `how` it also says how values were judged. A caption says that too (`caption_of`).
    """
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
    judged = _how(table) if how else ""
    return f"{table.name} = {best.label} gives {estimate_text(best.metric)} (n = {best.n}){judged}{others}."


def _how(table: ValueTable) -> str:
    """Return how a table's values are judged, as a clause."""
    if table.is_plain:
        return ""
    if table.view == "fixed":
        return ", all else at its default"
    return f", each value at its best over the nuisance parameters (a cell chosen by {_chosen_by(table)})"


def _chosen_by(table: ValueTable) -> str:
    return "the other half of the seeds" if table.is_honest else "the very values that judge it"


def caption_of(view: ValueTable) -> str:
    """Return the meaning of a table's numbers and ties."""
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
    return f"Each value at its best over the nuisance parameters, in a cell chosen by {_chosen_by(view)} (mode=tuned)."


def compared(tables: ValueTables) -> list[str]:
    """Return the disagreements of the two views, or that there are none. Empty without a common pair."""
    if tables.tuned is None or tables.fixed is None:
        return []
    pairs = zip(tables.tuned.rows, tables.fixed.rows, strict=True)
    is_compared = sum(tuned.metric is not None and fixed.metric is not None for tuned, fixed in pairs) > 1
    return disagreements_of(tables) or ([UNCHANGED] if is_compared else [])


def disagreements_of(tables: ValueTables) -> list[str]:
    """Return a sentence for each pair of values that compares differently at the defaults and tuned."""
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
        f"when each is tuned: the difference changes by {estimate_text(change.change, signed=True)} "
        f"(p {p_value(change.p_holm)}, Holm)"
    )


def _direction(difference: float) -> str:
    return "lower" if difference < 0 else "higher"


def against_best(row: ValueRow) -> str:
    """Return how a row compares with the best, in words."""
    standing = row.standing
    if standing.word == "best":
        return "best"
    if standing.word == "none" or standing.difference is None:
        return "no value"
    found = standing.difference
    difference = f"{estimate_text(found, signed=True)}, p {p_value(standing.p_holm)} (Holm)"
    if standing.word != "tie":
        return difference
    n = found.n or 0
    word = "tie" if n >= FEWEST_OF_TIE else f"not distinguished by {counted(n, 'seed', 'seeds')}"
    return f"{word}, {difference}"


def judged_at(row: ValueRow, name: str, *, written: Callable[[object], str] = shown) -> str:
    """Return the value of nuisance parameter `name` in the judging cells of a row, or both if they differ."""
    values = [cell.get(name, NONE) for cell in row.judged]
    return ", ".join(map(written, values if len(set(values)) > 1 else values[:1])) or NONE
