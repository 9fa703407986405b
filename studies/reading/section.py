"""Reads values out of a config mapping and collects what is wrong with them, each with key, value and remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from studies.errors import Problems, nearest


class Section:
    """One mapping of the config under `prefix`. Every reader returns a usable value, also after noting a problem."""

    def __init__(self, values: Any, *, prefix: str, problems: Problems) -> None:
        self.prefix = prefix
        self.problems = problems
        if values is not None and not isinstance(values, Mapping):
            problems.add(prefix, f"is {values!r}", "give a mapping of keys to values")
        self.values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}

    def key(self, name: str) -> str:
        """The full dotted key of `name`."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def has(self, name: str) -> bool:
        """Whether `name` is there and not null."""
        return self.values.get(name) is not None

    def only(self, known: Collection[str]) -> None:
        """Note every key that is not in `known`."""
        for name in self.values:
            if name not in known:
                self.problems.add(self.key(str(name)), "is not a known key", nearest(str(name), known))

    def section(self, name: str) -> Section:
        """The mapping at `name`; an empty one where it is missing."""
        return Section(self.values.get(name), prefix=self.key(name), problems=self.problems)

    def text(self, name: str, *, default: str = "") -> str:
        """A non-empty string."""
        value = self.values.get(name, default)
        if isinstance(value, str) and value.strip():
            return value
        self.problems.add(self.key(name), f"is {value!r}", "give a non-empty text")
        return default

    def word(self, name: str, known: Sequence[str], *, default: str | None = None) -> Any:
        """One of the words `known`."""
        value = self.values.get(name, default)
        if value in known:
            return value
        self.problems.add(self.key(name), f"is {value!r}", nearest(str(value), known))
        return default if default is not None else known[0]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.values.get(name, default)
        if isinstance(value, bool):
            return value
        self.problems.add(self.key(name), f"is {value!r}", "give true or false")
        return default

    def number(self, name: str, *, low: float = -math.inf, above: float = -math.inf, default: float = 0.0) -> float:
        """A finite number at least `low` and greater than `above`."""
        value = self.values.get(name)
        if not is_number(value):
            self.problems.add(self.key(name), f"is {value!r}", "give a number")
        elif value < low:
            self.problems.add(self.key(name), f"is {value!r}", f"give a number of at least {low:g}")
        elif value <= above:
            self.problems.add(self.key(name), f"is {value!r}", f"give a number greater than {above:g}")
        else:
            return float(value)
        return default

    def whole(self, name: str, *, low: int = 0, default: int = 1) -> int:
        """A whole number at least `low`."""
        value = self.values.get(name)
        if is_number(value) and float(value).is_integer() and value >= low:
            return int(value)
        self.problems.add(self.key(name), f"is {value!r}", f"give a whole number of at least {low}")
        return default

    def optional_number(self, name: str, *, above: float) -> float | None:
        """A number greater than `above`, or None where it is null."""
        return self.number(name, above=above) if self.has(name) else None

    def optional_whole(self, name: str, *, low: int) -> int | None:
        """A whole number of at least `low`, or None where it is null."""
        return self.whole(name, low=low) if self.has(name) else None


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether `value` is a finite number (a bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
