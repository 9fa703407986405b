"""The space of the next round: limits moved to the best, away from failures and from values that are surely worse.

The best may lie at a limit more likely than not, but not surely enough to move it. Then nothing is cut off: a range
that shrinks towards a fixed limit leads away from a best beyond it. A person is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from studies.analysis.next_round.boundary import Place
from studies.analysis.next_round.infeasible import Region, Side
from studies.analysis.next_round.limits import extended, narrowed, passes_one, width, with_limit
from studies.config.parameter import Parameter
from studies.config.space import SearchSpace
from studies.text.wording import whole_percent

WORTHWHILE = 0.2  # of the range: less is not worth cutting off
LEAST = 0.25  # of the range stays, however surely worse the rest is
INFEASIBLE = 0.5  # a region is cut off where its failure rate surely exceeds this

Key = Literal["low", "high", "choices", "when"]


@dataclass(frozen=True, slots=True)
class SpaceChange:
    """One key of a parameter in the next space, what it was, and why it is changed. `after` is None where the parameter
    is left out."""

    name: str
    key: Key
    before: Any
    after: Any
    reason: str


@dataclass(frozen=True, slots=True)
class NextSpace:
    """The space of the next round, its differences, and hints for a person to decide."""

    space: SearchSpace
    changes: tuple[SpaceChange, ...]
    hints: tuple[str, ...]


def next_space(space: SearchSpace, places: Sequence[Place], regions: Sequence[Region]) -> NextSpace:
    """Return the next space after `space`."""
    where = {place.name: place for place in places}
    changes: list[SpaceChange] = []
    hints = list(_pairs_told(regions))
    parameters: dict[str, Parameter] = {}
    for parameter in space:
        old, place = parameter, where.get(parameter.name)
        if parameter.type == "categorical":
            parameter, made, said = _without_worse(parameter, place)
        else:
            parameter, made, said = _with_limits(parameter, place, _single_sides(regions, parameter.name))
        conditioned = _with_conditions(parameter, old, parameters)
        if conditioned is None:
            changes.append(SpaceChange(old.name, "when", dict(old.when), None, "it would never be active"))
            continue
        parameters[old.name] = conditioned
        changes += made
        if conditioned.when != parameter.when:
            reason = "the other values are left out"
            changes.append(SpaceChange(old.name, "when", dict(old.when), dict(conditioned.when), reason))
        hints += said
    return NextSpace(SearchSpace(tuple(parameters.values())), tuple(changes), tuple(hints))


Made = tuple[Parameter, list[SpaceChange], list[str]]


def _with_limits(old: Parameter, place: Place | None, sides: Sequence[tuple[Side, Region]]) -> Made:
    parameter, changes, hints = old, list[SpaceChange](), list[str]()
    cut = {end: found for end in ("low", "high") if (found := _tightest(sides, end)) is not None}
    for end, (side, region) in cut.items():
        limits = {"low": parameter.low, "high": parameter.high, end: _last_feasible(old, side)}
        parameter = narrowed(parameter, low=limits["low"], high=limits["high"], outwards=False) or parameter
        changes += _change(old, parameter, end, _failing(region))
    if place is None:
        return parameter, changes, hints
    leaning = place.leaning
    if leaning is not None and leaning not in cut and extended(old, leaning) is not None:
        hints.append(_leaning(old, place, leaning))
    elif place.worth is not None:
        parameter, made = _cut(parameter, old, place, place.worth, taken=cut)
        changes += made
    if place.limit is not None:
        end, confidence = place.limit, max(place.at_low, place.at_high)
        limit = f"{old.low if end == 'low' else old.high:g}"
        told = f"the best lies at this limit (confidence {confidence:.0%}, by the {place.basis})"
        longer = extended(old, end)
        if end in cut:
            hints.append(f"{old.name}: the best lies as near to this limit as trials succeed: {_failing(cut[end][1])}")
        elif longer is None:
            hints.append(f"{old.name}: {told}, {limit}, which looks like a hard one. If it is not, move it yourself")
        else:
            parameter = with_limit(parameter, end, longer.low if end == "low" else longer.high)
            changes = [change for change in changes if change.key != end]
            changes += _change(old, parameter, end, told)
            if end == "high":
                no_share = (
                    "; no share (dropout, momentum, 1 − beta) may be 1 or more" if passes_one(old, parameter) else ""
                )
                hints.append(
                    f"{old.name}: {parameter.high:g} may exceed what memory or its meaning allow: you know{no_share}"
                )
    return parameter, changes, hints


def _leaning(parameter: Parameter, place: Place, end: Literal["low", "high"]) -> str:
    percent = whole_percent(max(place.at_low, place.at_high))
    return (
        f"{parameter.name}: {percent} % that the best lies at the {end} limit, too little to move it: more trials, or "
        "widen it yourself"
    )


def _tightest(sides: Sequence[tuple[Side, Region]], end: str) -> tuple[Side, Region] | None:
    """Return the side that leaves least at that end, among the sides with surely more failures than not beyond them."""
    surely = [
        (side, region)
        for side, region in sides
        if ("high" if side.relation == "≥" else "low") == end and region.inside.share.is_above(INFEASIBLE)
    ]
    sign = 1 if end == "high" else -1
    return min(surely, key=lambda found: sign * float(found[0].limit), default=None)  # type: ignore[arg-type]


def _last_feasible(parameter: Parameter, side: Side) -> float:
    """Return the last value before a side: a threshold between two floats, or the value before an integer."""
    limit = float(side.limit)  # type: ignore[arg-type]
    is_high = side.relation == "≥"
    match parameter.type:
        case "power_of_two":
            return limit / 2 if is_high else limit * 2
        case "int":
            return limit - 1 if is_high else limit + 1
        case _:
            return limit


def _cut(
    parameter: Parameter, old: Parameter, place: Place, worth: tuple[float, float], *, taken: dict[str, Any]
) -> tuple[Parameter, list[SpaceChange]]:
    """Return `parameter` without the ends of surely worse values, if that is worth it and enough remains."""
    low, high = (float(place.axis.decode(encoded)) for encoded in worth)
    untried = {"low": worth[0] <= place.axis.low, "high": worth[1] >= place.axis.high}  # beyond a grid's own levels
    changes: list[SpaceChange] = []
    for end in ("low", "high"):
        limits = {"low": parameter.low, "high": parameter.high}
        limits[end] = low if end == "low" else high
        shorter = narrowed(parameter, low=limits["low"], high=limits["high"])
        if end in taken or end == place.limit or untried[end] or shorter is None:
            continue
        if width(shorter) <= (1 - WORTHWHILE) * width(parameter) and width(shorter) >= LEAST * width(old):
            parameter = shorter
            limit, side = (parameter.low, "below") if end == "low" else (parameter.high, "above")
            changes += _change(old, parameter, end, f"{side} {limit:g} values are surely worse")
    return parameter, changes


def _change(old: Parameter, new: Parameter, end: str, reason: str) -> Iterator[SpaceChange]:
    before, after = getattr(old, end), getattr(new, end)
    if before != after:
        yield SpaceChange(old.name, "low" if end == "low" else "high", before, after, reason)


def _without_worse(old: Parameter, place: Place | None) -> Made:
    worse = place.worse if place is not None else ()
    kept = {choice: written for choice, written in old.choices.items() if choice not in worse}
    if not worse or not kept or len(kept) == len(old.choices):
        return old, [], []
    reason = f"{', '.join(map(str, worse))} surely worse"
    change = SpaceChange(old.name, "choices", tuple(old.choices), tuple(kept), reason)
    levels = tuple(level for level in old.levels if level in kept) if old.levels is not None else None
    return replace(old, choices=kept, levels=levels), [change], []


def _with_conditions(parameter: Parameter, old: Parameter, before: dict[str, Parameter]) -> Parameter | None:
    """Return `parameter` with the conditions that its parents can still meet, or None if they can meet none."""
    when = {
        parent: tuple(value for value in allowed if before[parent].contains(value))
        for parent, allowed in old.when.items()
        if parent in before
    }
    if len(when) < len(old.when) or not all(when.values()):
        return None
    return replace(parameter, when=when)


def _single_sides(regions: Sequence[Region], name: str) -> list[tuple[Side, Region]]:
    return [(region.sides[0], region) for region in regions if len(region.sides) == 1 and region.sides[0].name == name]


def _failing(region: Region) -> str:
    inside = region.inside
    return f"{inside.failed} of {inside.share.n} trials ended in {region.failure} where {region.sides[0]}"


def _pairs_told(regions: Sequence[Region]) -> Iterator[str]:
    for region in regions:
        if len(region.sides) == 2:
            where = " and ".join(map(str, region.sides))
            yield f"trials end in {region.failure} where {where}: no single limit cuts that off, so the limits stay"
