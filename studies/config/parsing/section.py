"""Reads values out of a config mapping and collects problems, each with key, value and remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from studies.config.parsing.limits import LARGEST, LARGEST_WHOLE, shown, written
from studies.config.parsing.renamed import key_now
from studies.errors import Problems, nearest
from studies.text.naming import REMEDY, shown_name, why_no_name


class ConfigSection:
    """One mapping of the config under `prefix`. Every method returns a usable value, also after a problem."""

    def __init__(self, values: Any, *, prefix: str, problems: Problems) -> None:
        self.prefix = prefix
        self.problems = problems
        if values is not None and not isinstance(values, Mapping):
            problems.add(prefix, f"is {shown(values)}", "give a mapping of keys to values")
        self.values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}

    def key(self, name: str) -> str:
        """Return the full dotted key of `name`."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def complain(self, name: str, complaint: str, remedy: str) -> None:
        """Add a problem with the value at `name`."""
        self.problems.add(self.key(name), complaint, remedy)

    def has(self, name: str) -> bool:
        """Return whether `name` is present and not null."""
        return self.values.get(name) is not None

    def only(self, known: Collection[str]) -> None:
        """Add a problem for every key that is not in `known`."""
        for name in self.values:
            if name not in known:
                now = key_now(self.key(str(name)))
                remedy = nearest(str(name), known) if now is None else f"it is called {now} now"
                self.complain(str(name), "is not a known key", remedy)

    def check_name(self, name: object) -> None:
        """Add a problem for a key that cannot name a file, column or label."""
        why = why_no_name(str(name))
        if why is not None:
            self.problems.add(self.prefix, f"holds {shown_name(str(name))}, {why}", REMEDY)

    def section(self, name: str) -> ConfigSection:
        """Return the mapping at `name`, an empty one if it is missing."""
        return ConfigSection(self.values.get(name), prefix=self.key(name), problems=self.problems)

    def text(self, name: str, *, default: str = "") -> str:
        """Return a non-empty string."""
        value = self.values.get(name, default)
        if isinstance(value, str) and value.strip():
            return value
        self._refuse(name, value, "give a non-empty text")
        return default

    def name(self, name: str) -> str:
        """Return a text that can name a file, a column and a label."""
        value = self.text(name)
        why = why_no_name(value) if value else None
        if why is not None:
            self.complain(name, f"is {shown_name(value)}, {why}", REMEDY)
        return value

    def word(self, name: str, known: Sequence[str], *, default: str | None = None) -> Any:
        """Return one of the words `known`."""
        value = self.values.get(name, default)
        if value in known:
            return value
        told = shown(value)
        self._refuse(name, value, nearest(value if isinstance(value, str) else told, known))
        return default if default is not None else known[0]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self.values.get(name, default)
        if isinstance(value, bool):
            return value
        self._refuse(name, value, "give true or false")
        return default

    def number(
        self,
        name: str,
        *,
        low: float = -math.inf,
        above: float = -math.inf,
        high: float = LARGEST,
        default: float = 0.0,
    ) -> float:
        """Return a finite number from `low`, above `above` and up to `high`, which also limits negative numbers."""
        value = self.values.get(name)
        if not is_number(value):
            self._refuse(name, value, "give a number")
        elif value < low:
            self._refuse(name, value, f"give a number of at least {low:g}")
        elif value <= above:
            self._refuse(name, value, f"give a number greater than {above:g}")
        elif abs(value) > high:
            self._refuse(name, value, f"give a number of at most {written(high)}" + (" in size" if value < 0 else ""))
        else:
            return float(value)
        return default

    def whole(self, name: str, *, low: int = 0, high: int = LARGEST_WHOLE, default: int = 1) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.values.get(name)
        if not is_number(value) or not float(value).is_integer() or value < low:
            self._refuse(name, value, f"give a whole number of at least {low}")
        elif value > high:
            self._refuse(name, value, f"give a whole number of at most {high}")
        else:
            return int(value)
        return default

    def optional_number(self, name: str, *, above: float, high: float = LARGEST) -> float | None:
        """Return a number above `above` and up to `high`, or None for null."""
        n_before = len(self.problems.found)
        value = self.number(name, above=above, high=high) if self.has(name) else None
        return value if len(self.problems.found) == n_before else None

    def optional_whole(self, name: str, *, low: int, high: int = LARGEST_WHOLE) -> int | None:
        """Return a whole number from `low` to `high`, or None for null."""
        return self.whole(name, low=low, high=high) if self.has(name) else None

    def _refuse(self, name: str, value: object, remedy: str) -> None:
        self.complain(name, f"is {shown(value)}", remedy)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether `value` is a finite number that a float can hold. A bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
