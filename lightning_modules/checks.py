"""Checks of arguments: each error names the argument, its value and the remedy."""

from collections.abc import Mapping
from difflib import get_close_matches
from math import inf
from typing import TypeVar

Value = TypeVar("Value")
MOST_LAYERS, MOST_UNITS = 10_000, 10_000_000  # of a network and of a layer: a thousand times the usual
LARGEST = 1e6  # of a strength or penalty: far beyond what any training survives


def require(condition: bool, *, key: str, value: object, remedy: str) -> None:
    """Raise ValueError with the key, its value and the remedy unless the condition holds. A NaN never holds."""
    if not condition:
        raise ValueError(f"{key} is {value!r}: {remedy}")


def require_whole(value: int, *, key: str, low: int, remedy: str, high: int = 10**9) -> None:
    """Raise ValueError unless the value is a whole number from low to high."""
    require(is_whole(value, low=low), key=key, value=value, remedy=remedy)
    require(value <= high, key=key, value=value, remedy=f"give at most {high}")


def is_whole(value: object, *, low: int, high: float = inf) -> bool:
    """Return whether the value is a whole number from low to high."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def require_number(
    value: float, *, key: str, low: float, remedy: str, below: float = inf, up_to: float = LARGEST
) -> None:
    """Raise ValueError unless the value is a finite number from low to up_to, and less than below."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    require(is_number and low <= value < below, key=key, value=value, remedy=remedy)
    require(value <= up_to, key=key, value=value, remedy=f"give at most {up_to:g}")


def lookup(table: Mapping[str, Value], *, key: str, name: str) -> Value:
    """Return the entry of that name. Raises ValueError with the nearest name and all the others."""
    if name in table:
        return table[name]
    nearest = get_close_matches(str(name), table, n=1, cutoff=0.0)[0]
    raise ValueError(f"{key} is {name!r}: did you mean {nearest!r}? The choices are {', '.join(table)}")
