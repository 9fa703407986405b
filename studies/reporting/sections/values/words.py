"""The table of a scientific parameter in words: verdict, caption, notes and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from studies.analysis.levels import MOST_MORE_SEEDS
from studies.analysis.values.row import ValueRow
from studies.analysis.values.standing import RowStanding
from studies.analysis.values.table import Disagreement, ValueTable, ValueTables
from studies.reporting.wording import estimate_text
from studies.text.wording import NONE, listed, p_value, roughly, shown

UNCHANGED = "From the defaults to tuned, no pair of values changes its difference beyond what the seeds explain."


def sentence(table: ValueTable, *, how: bool = False) -> str:
    """Return the verdict: the best value with its interval, then the worse, the equivalent and the undecided ones.

    With `how` it also says how values were judged. A caption says that too (`caption_of`).
    """
    best = table.best
    whole = f"all {table.n_seeds} seeds" if table.n_seeds not in (None, 1) else "its seed"
    if best is None or best.metric is None:
        return f"No value of {table.name} has a result: that needs a cell that {whole} trained to the end."
    without = [row.label for row in table.rows if row.metric is None]
    others = ", and is shown to be the best" if len(table.worse) == len(table.rows) - 1 > 0 else ""
    others += "".join(f"; {told}" for told in _standings(table))
    if without:
        others += f"; nothing is known of {listed(without)}, without a cell that {whole} trained to the end"
    judged = _how(table) if how else ""
    return f"{table.name} = {best.label} gives {estimate_text(best.metric)} (n = {best.n}){judged}{others}."


def _standings(table: ValueTable) -> Iterator[str]:
    """Yield the worse values, the worst first, then the equivalent ones, then those of which neither is shown."""
    if table.worse:
        yield f"worse (by at least): {listed([_with(row.label, _at_least(row.standing)) for row in table.worse])}"
    if table.equivalent:
        yield f"equivalent within {table.ranking.margin:g}: {listed([row.label for row in table.equivalent])}"
    if table.not_shown:
        told = [_with(row.label, _more_seeds(row.standing)) for row in table.not_shown]
        is_known = any(row.standing.more_seeds is not None for row in table.not_shown)
        yield f"not shown{' (more seeds it takes)' if is_known else ''}: {listed(told)}"


def _with(label: str, number: str) -> str:
    return f"{label} ({number})" if number else label


def _at_least(standing: RowStanding) -> str:
    """Return by how much a row is surely worse. Empty if that rounds to nothing."""
    told = f"{standing.at_least or 0.0:.4f}"
    return told if float(told) else ""


def _more_seeds(standing: RowStanding) -> str:
    """Return how many more seeds would decide a row: a rough number. Empty if nobody can tell."""
    return "" if standing.more_seeds is None else roughly(standing.more_seeds, most=MOST_MORE_SEEDS)


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
    """Return the meaning of a table's numbers and standings."""
    if not view.ranking.comparisons:
        return _what(view)
    margin = view.ranking.margin
    equivalent = (
        f"Equivalent: surely less than {margin:g} behind it (analysis.margin)."
        if margin is not None
        else f"None is called equivalent, because {view.metric} has no usual margin: set analysis.margin, in its unit."
    )
    return (
        f"{_what(view)} Worse: surely behind the best value, by so much at least. {equivalent} Not shown: neither of "
        "these. The further seeds decide it with a chance of 80 %, if difference and spread stay as they are. In "
        "brackets: the difference from the best. Each end holds for all rows together with a chance of 95 %."
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


def against_best(row: ValueRow, *, margin: float | None) -> str:
    """Return how a row stands to the best, in words."""
    standing = row.standing
    if standing.word == "best":
        return "best"
    if standing.word == "none":
        return "no value"
    difference = estimate_text(standing.difference, signed=True)
    if standing.word == "equivalent":
        return f"equivalent within {margin:g}, {difference}"
    if standing.word == "worse":
        at_least = _at_least(standing)
        return f"worse{f' by {at_least} at least' if at_least else ''}, {difference}"
    more = _more_seeds(standing)
    return f"not shown{f' ({more} more seeds)' if more else ''}, {difference}"


def seeds_needed(tables: ValueTables) -> list[str]:
    """Return how to decide the values that are not shown, as a sentence. Empty without such a value.

    A value that is open in both views takes the seeds of the view that needs more.
    """
    views = [view for view in (tables.tuned, tables.fixed) if view is not None]
    wanted: dict[str, int] = {}
    for row in (row for view in views for row in view.not_shown):
        more = row.standing.more_seeds
        if more is not None and more < MOST_MORE_SEEDS:
            wanted[row.label] = max(wanted.get(row.label, 0), more + row.n)
    if not wanted:
        return []
    return [
        f"{roughly(max(wanted.values()))} seeds in all would decide {listed(list(wanted))}: give them as replicates, "
        "with another study_name if the study has a hypothesis"
    ]


def judged_at(row: ValueRow, name: str, *, written: Callable[[object], str] = shown) -> str:
    """Return the value of nuisance parameter `name` in the judging cells of a row, or both if they differ."""
    values = [cell.get(name, NONE) for cell in row.judged]
    return ", ".join(map(written, values if len(set(values)) > 1 else values[:1])) or NONE
