"""One setting of the whole process: how it is read, compared and put back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessSetting:
    """`write` takes the value of `read`. Without it the setting cannot be put back."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    differs: Callable[[Any, Any], bool] = operator.ne


def of_attributes(name: str, *places: tuple[Any, str]) -> ProcessSetting:
    """Return the setting `name` that attributes make up. `places` are pairs of an object and its attribute."""

    def write(before: list[Any]) -> None:
        for (owner, attribute), value in zip(places, before, strict=True):
            setattr(owner, attribute, value)

    return ProcessSetting(name, lambda: [getattr(owner, attribute) for owner, attribute in places], write)


_copies: dict[str, dict[str, Any]] = {}


def copied(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `table`, or the earlier copy under this `name` if nothing has changed.

    Comparing the same objects is faster than a copy.
    """
    known = _copies.get(name)
    if known is None or not _are_same(known, table):
        known = _copies[name] = dict(table)
    return known


def replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the members of `before` that are missing or another object in `now`."""
    if not _are_same(before, now):
        yield from ((name, value) for name, value in before.items() if now.get(name) is not value)


def is_any_replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether there is such a member."""
    return any(True for _ in replaced(before, now))


def _are_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return one is other or bool(one == other)  # identical members are not compared
    except Exception:  # noqa: BLE001 - objects without comparison count as different
        return False
