"""The region that trains, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.text.wording import listed, shown

if TYPE_CHECKING:
    from studies.analysis.axis import Axis
    from studies.analysis.training.region import Bound


def region_words(boxes: Sequence[Sequence[Bound]]) -> str:
    """Return the rules: lr < 0.03, or lr ≥ 0.03 and depth ≤ 2."""
    return ", or ".join(listed([bound_words(bound) for bound in box]) for box in boxes)


def bound_words(bound: Bound) -> str:
    """Return a condition: depth ≤ 2, 0.001 ≤ lr < 0.03, optimizer is adam or adamw."""
    axis = bound.axis
    if bound.choices:
        return _choice(axis, [shown(choice) for choice in bound.choices])
    if axis.levels:
        low = None if bound.low is None else min(level for level in axis.levels if level >= bound.low)
        high = None if bound.high is None else max(level for level in axis.levels if level <= bound.high)
        if low is not None and low == high:
            return f"{axis.name} = {shown(axis.decode(low))}"
        sign = "≤"
    else:
        low, high, sign = bound.low, bound.high, "<"
    ends = [None if end is None else _rounded(axis, end) for end in (low, high)]
    if ends[0] is None:
        return f"{axis.name} {sign} {ends[1]}"
    if ends[1] is None:
        return f"{axis.name} ≥ {ends[0]}"
    return f"{ends[0]} ≤ {axis.name} {sign} {ends[1]}"


def _choice(axis: Axis, choices: Sequence[str]) -> str:
    others = [text for text in map(shown, axis.values) if text not in choices]
    if len(others) < len(choices):
        return f"{axis.name} is not {listed(others, last='or')}"
    return f"{axis.name} is {listed(choices, last='or')}"


def _rounded(axis: Axis, encoded: float) -> str:
    value = axis.decode(encoded)
    return shown(value) if axis.levels else f"{value:.2g}"
