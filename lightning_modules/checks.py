"""Refusals: every wrong argument is answered with its name, its value and what to give instead."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Value = TypeVar("Value")


def require(condition: bool, *, key: str, value: object, remedy: str) -> None:
    """Raise ValueError with the key, its value and the remedy unless the condition holds (a NaN never holds)."""
    if not condition:
        raise ValueError(f"{key} is {value!r}: {remedy}")


def lookup(table: Mapping[str, Value], *, key: str, name: str) -> Value:
    """Return the entry of that name, or raise ValueError that shows the nearest name and all the others."""
    if name in table:
        return table[name]
    nearest = get_close_matches(str(name), table, n=1, cutoff=0.0)[0]
    raise ValueError(f"{key} is {name!r}: did you mean {nearest!r}? The choices are {', '.join(table)}")
