"""The next round: limits, failing regions, whether there were enough trials, and the next search space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from studies.analysis.levels import AT_LIMIT
from studies.analysis.next_round.best_of_m import BestOfM, is_enough
from studies.reporting.csv_table import Row, csv_text, fields_of
from studies.reporting.figures.best_of_m import best_of_m
from studies.reporting.finding import Block, Command, File, Finding, Paragraph, Table, bullets
from studies.reporting.sections.next_round.space_yaml import GROUP, OPTION, space_yaml
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text, interval_text
from studies.text.wording import NONE, counted, fixed, shown, whole_percent

if TYPE_CHECKING:
    from studies.analysis.next_round.boundary import Place
    from studies.analysis.next_round.infeasible import Rate, Region
    from studies.analysis.next_round.round import NextRound
    from studies.analysis.next_round.space import NextSpace
    from studies.config.parameter import Parameter

TABLE = "next_round.csv"
SPACE = f"{GROUP}/{OPTION}.yaml"
FILES = (TABLE, SPACE, "figures/best_of_m.png", "figures/best_of_m.csv")
COLUMNS = ("params", "low", "high", "best", "at_low", "at_high", "basis", "n", "next_low", "next_high", "reason")
LIMITED = 0.005  # a confidence this near to 1 is written as "> 99 %"
COPY = f"Copy it to {GROUP}/ of your config folder and name it: {GROUP}={OPTION}."


def compute(view: StudyView) -> Finding | None:
    """Return the conclusions for the next round. None without an analysis."""
    if not view.is_analysed:
        return None
    command = view.next_command
    how = "Run it:" if command else _edited(view) if view.space_file else COPY
    blocks = next_round_blocks(view.next_round, study_name=view.name, metric=view.metric, how=how, command=command)
    return Finding("Next round", blocks=tuple(blocks))


def _edited(view: StudyView) -> str:
    """Return how to run the next round of a study whose own file sets the space."""
    return (
        f"{view.space_file} has a {GROUP} of its own. Copy that file under a new name, put these lines in place of its "
        f'{GROUP} and "override /{GROUP}: empty" into its defaults, and run the copy with {view.next_arguments}.'
    )


def next_round_blocks(
    found: NextRound, *, study_name: str, metric: str, how: str = COPY, command: str = ""
) -> Iterator[Block]:
    """Yield the limits, failing regions, whether there were enough trials, and the next space as a file.

    `how` is a sentence on how to run the next round. `command` follows it, unless it is empty.
    """
    yield from _limits(found)
    yield from map(_region, found.regions)
    yield Paragraph(_enough(found, metric))
    if found.best_of_m is not None:
        yield best_of_m(found.best_of_m, metric=metric)
    yield from bullets([f"{hint}." for hint in found.next.hints])
    yield File("next round", TABLE, csv_text(COLUMNS, _rows(found)))
    if not found.can_be_written:
        yield Paragraph("The config paths of the parameters are not known here, so no search_space file is written.")
        return
    yield from _space(found.next, study_name, how, command)


def _space(found: NextSpace, study_name: str, how: str, command: str) -> Iterator[Block]:
    """Yield the next space, and how to run it."""
    yield File("next search space", SPACE, space_yaml(found, study_name=study_name))
    if not found.changes:
        yield Paragraph(f"Limits and choices stay as they are ({SPACE}): a next round would be more trials.")
        return
    n_changes = counted(len(found.changes), "change", "changes")
    yield Paragraph(f"The next space ({n_changes}) is in {SPACE}. {how}")
    if command:
        yield Command(command)


def _rows(found: NextRound) -> Iterator[Row]:
    where = {place.name: place for place in found.places}
    after = {parameter.name: parameter for parameter in found.next.space}
    for parameter in found.space:
        place, then = where.get(parameter.name), after.get(parameter.name)
        numeric = parameter.type != "categorical"
        yield {
            "params": parameter.name,
            "low": parameter.low if numeric else None,
            "high": parameter.high if numeric else None,
            **(fields_of(place) if place is not None else {}),
            "next_low": then.low if numeric and then is not None else None,
            "next_high": then.high if numeric and then is not None else None,
            "reason": "; ".join(_reasons(found, parameter.name)) or None,
        }


def _limits(found: NextRound) -> Iterator[Block]:
    header = ("parameter", "values", "best", "at the low limit", "at the high limit", "by", "next round", "because")
    where = {place.name: place for place in found.places}
    after = {parameter.name: parameter for parameter in found.next.space}
    rows = tuple(
        _limits_row(parameter, where.get(parameter.name), after.get(parameter.name), _reasons(found, parameter.name))
        for parameter in found.space
    )
    note = (
        "The confidence that the best lies at a limit is the share of functions, drawn from the fit, with their best "
        "there. Without a fit it comes from the trend of the trials. A limit moves at a confidence of 95 % or more."
    )
    if found.n_infeasible:
        note += " Infeasible trials have no part in it."
    if found.compared != "final":
        note += f" All of it is at {found.compared}, not at the end, which may look different."
    yield from (Table(header, rows), Paragraph(note))


def _limits_row(
    parameter: Parameter, place: Place | None, then: Parameter | None, reasons: Sequence[str]
) -> tuple[str, ...]:
    values = _values(parameter)
    next_values = "left out" if then is None else _values(then)
    because = "; ".join(reasons) or NONE
    if place is None:
        return parameter.name, values, NONE, NONE, NONE, "nothing: it did not vary", next_values, because
    return (
        *(parameter.name, values, shown(place.best) if place.best is not None else NONE),
        *(_confidence(place.at_low), _confidence(place.at_high), f"{place.basis} (n = {place.n})"),
        *("unchanged" if next_values == values else next_values, because),
    )


def _values(parameter: Parameter) -> str:
    if parameter.type == "categorical":
        return ", ".join(map(str, parameter.choices))
    return f"{parameter.low:g} … {parameter.high:g}"


def _reasons(found: NextRound, name: str) -> list[str]:
    return list(dict.fromkeys(change.reason for change in found.next.changes if change.name == name))


def _confidence(share: float) -> str:
    if math.isnan(share):
        return NONE
    if share < AT_LIMIT:
        return f"{whole_percent(share)} %"
    return "> 99 %" if share > 1 - LIMITED else f"{100 * share:.0f} %"


def _region(region: Region) -> Paragraph:
    where = " and ".join(map(str, region.sides))
    verb = "are" if region.failure == "infeasible" else "end in"
    return Paragraph(
        f" where {where}: {_rate(region.inside)} there, {_rate(region.outside)} elsewhere. The same trials chose the "
        "region, so its rate is somewhat too high.",
        lead=f"Trials {verb} {region.failure}",
    )


def _rate(rate: Rate) -> str:
    return f"{rate.failed} of {rate.share.n} {interval_text(rate.share, '.0f', percent=True)} %"


def _enough(found: NextRound, metric: str) -> str:
    curve = found.best_of_m
    if found.is_grid:
        return (
            "Were there enough trials? Not asked of a grid: its points were not drawn at random, so they do not tell "
            "the results of other points."
        )
    if curve is None:
        return "Were there enough trials? Too few to tell: at least 8 are needed."
    at = {size: float(value) for size, value in zip(curve.sizes, curve.expected, strict=True)}
    n, gain = curve.n, curve.gain
    at_rung = "" if curve.policy == "final" else f" (at {curve.policy}, for many were pruned)"
    best_of_all, best_of_half = fixed(at[n], 4), fixed(at[n // 2], 4)
    said = (
        f"Were there enough trials? The best of {n} {_basis(curve)} is expected at {metric}{at_rung} {best_of_all}, of "
        f"half as many at {best_of_half}; {n} more are expected to improve it by {estimate_text(gain)}"
    )
    verdicts = {True: "enough: that is", False: "not enough: that is more than", None: "undecided: that may be"}
    if found.tolerance.value > 0:
        verdict = is_enough(curve, found.tolerance.value)
        less = {True: "less than", False: "", None: "more or less than"}[verdict]
        said += f". {verdicts[verdict].capitalize()} {less}".rstrip()
        said += f" {found.tolerance} ({found.tolerance.origin})"
    how = "gave no value or are infeasible" if found.n_infeasible else "gave no value"
    lost = f" {curve.n_lost} of them {how} and count as the worst." if curve.n_lost else ""
    return (
        f"{said}. The upper end assumes that the best values thin out at least as fast as an exponential tail: rare "
        f"and far better ones are not in it.{lost} {_values_behind(curve)} are as measured, with noise, so the best of "
        "many is optimistic."
    )


def _values_behind(curve: BestOfM) -> str:
    """Return the subject of a sentence on measured values, after one on those that are predicted, if any are."""
    if not curve.n_predicted:
        return "Values"
    predicted = counted(curve.n_predicted, "value is predicted", "values are predicted")
    return f"{predicted} from the curves of pruned trials. The others"


def _basis(curve: BestOfM) -> str:
    match curve.basis:
        case "space-filling":
            return "space-filling trials (those of the sampler learned from others and are left out)"
        case "sequential":
            return (
                "trials (in any order, while the sampler learned from the first ones: fewer would find less than told)"
            )
        case _:
            return "trials"
