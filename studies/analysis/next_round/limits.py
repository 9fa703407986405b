"""New limits of one parameter: further out by half its range on the search scale, or narrower.

The meaning of a value is not known here. So a range keeps the obvious properties of its type and scale: a log scale
stays positive, a range without negative values gets none, and an integer of at least 1 stays so. A linear range within
0…1 stays a share, below 1. A hard upper limit such as memory is not known. Ranges on a log scale within 0…1 are
learning rates or shares (dropout, 1 − beta). Only the former may pass 1, and `passes_one` says when a person has to
look.
"""

from __future__ import annotations

import math
from dataclasses import replace

from studies.config.parameter import Parameter, stepped

HALF = 0.5  # of the range's width
DIGITS = 2  # of a new limit


def extended(parameter: Parameter, end: str) -> Parameter | None:
    """Return `parameter` with its `low` or `high` end moved out, or None if that end is a hard one."""
    moved = _moved(parameter, end)
    if not (moved < parameter.low if end == "low" else moved > parameter.high):
        return None
    return with_limit(parameter, end, moved)


def passes_one(old: Parameter, new: Parameter) -> bool:
    """Return whether a range within 0…1 now reaches 1 or beyond, which no share may."""
    return _is_share(old) and old.high < new.high and new.high >= 1


def with_limit(parameter: Parameter, end: str, value: float) -> Parameter:
    """Return `parameter` with its `low` or `high` end at `value`. It keeps its number of levels, or all levels."""
    moved = replace(parameter, low=value) if end == "low" else replace(parameter, high=value)
    if parameter.levels is None:
        return moved
    is_discrete = parameter.type != "float" or parameter.step is not None
    had_all = is_discrete and 1 < len(set(parameter.levels)) == parameter.n_values
    return replace(moved, levels=moved.spread(moved.n_values if had_all else len(parameter.levels)))


def narrowed(parameter: Parameter, *, low: float, high: float, outwards: bool = True) -> Parameter | None:
    """Return `parameter` within `low`…`high`, as far as these lie inside its range.

    They are in the config's unit, rounded outwards or inwards. None if nothing would change, or if fewer than two
    values would remain.
    """
    new_low, new_high = parameter.low, parameter.high
    if low > parameter.low:
        new_low = max(parameter.low, _inside(parameter, low, up=not outwards))
    if high < parameter.high:
        new_high = min(parameter.high, _inside(parameter, high, up=outwards))
    if new_low >= new_high or (new_low, new_high) == (parameter.low, parameter.high):
        return None
    return with_limit(with_limit(parameter, "low", new_low), "high", new_high)


def width(parameter: Parameter) -> float:
    """Return the width of a range on its search scale."""
    if parameter.log or parameter.type == "power_of_two":
        return math.log(parameter.high / parameter.low)
    return parameter.high - parameter.low


def _moved(parameter: Parameter, end: str) -> float:
    low, high, is_high = parameter.low, parameter.high, end == "high"
    match parameter.type:
        case "power_of_two":
            first, last = round(math.log2(low)), round(math.log2(high))
            by = max(1, math.ceil(HALF * (last - first)))
            return float(2 ** (last + by) if is_high else 2 ** max(0, first - by))
        case "int" if parameter.log:
            factor = (high / low) ** HALF
            return float(max(math.ceil(high * factor), high + 1) if is_high else max(1, math.floor(low / factor)))
        case "float" if parameter.log:
            factor = (high / low) ** HALF
            return rounded(high * factor, up=True) if is_high else rounded(low / factor, up=False)
        case _:
            return _moved_linearly(parameter, is_high=is_high)


def _moved_linearly(parameter: Parameter, *, is_high: bool) -> float:
    low, high, by = parameter.low, parameter.high, HALF * (parameter.high - parameter.low)
    least = -math.inf if low < 0 else 1.0 if parameter.type == "int" and low >= 1 else 0.0
    if parameter.type == "int" or parameter.step:
        step = parameter.step or 1.0
        n_steps = max(1, math.ceil(by / step - 1e-9))
        if not is_high:
            n_steps = min(n_steps, math.floor((low - least) / step + 1e-9)) if math.isfinite(least) else n_steps
            return stepped(low, step, -n_steps)
        moved = stepped(high, step, n_steps)
        return moved if parameter.type == "int" or not _is_share(parameter) or moved < 1 else high
    if not is_high:
        return max(least, _rounded_by(low - by, by, up=False))
    if _is_share(parameter):
        by = min(by, (1 - high) / 2)
        return float(f"{high + by:.12g}") if high < 1 else high
    return _rounded_by(high + by, by, up=True)


def _is_share(parameter: Parameter) -> bool:
    return parameter.type == "float" and parameter.low >= 0 and parameter.high <= 1


def _inside(parameter: Parameter, value: float, *, up: bool) -> float:
    """Return `value` as a limit that the parameter can have, rounded up or down."""
    turned = math.ceil if up else math.floor
    if parameter.type == "power_of_two":
        return float(2 ** turned(math.log2(value) + (-1e-9 if up else 1e-9)))
    if parameter.step or parameter.type == "int":
        step = parameter.step or 1.0
        steps = turned((value - parameter.low) / step + (-1e-9 if up else 1e-9))
        return stepped(parameter.low, step, steps)
    return rounded(value, up=up) if parameter.log else _rounded_by(value, parameter.high - parameter.low, up=up)


def rounded(value: float, *, up: bool) -> float:
    """Return a positive number to two significant digits, never inwards."""
    return _rounded_by(value, value, up=up)


def _rounded_by(value: float, size: float, *, up: bool) -> float:
    """Return `value` rounded to two digits of a quantity of that size."""
    digits = DIGITS - 1 - math.floor(math.log10(abs(size)))
    turned = math.ceil if up else math.floor
    scaled = value * 10.0**digits
    near = round(scaled)
    whole = near if math.isclose(scaled, near, rel_tol=1e-9, abs_tol=1e-9) else turned(scaled)
    return float(f"{whole}e{-digits}")
