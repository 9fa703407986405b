"""How numbers are put into words: counts with their nouns, intervals, lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

NONE = "–"  # where there is no number


def nearby(path: Path) -> str:
    """A path as a person in the working folder types it: from there where it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun: 1 retry, 2 retries."""
    return f"{n} {one if n == 1 else many}"


def shown(value: object) -> str:
    """A parameter's value with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def p_value(p: float | None) -> str:
    """A p-value with three decimals, or that it is smaller than these can tell."""
    return "< 0.001" if p is not None and p < 0.001 else fixed(p)


def listed(words: Sequence[str], *, last: str = "and") -> str:
    """Words as a list in a sentence: a, b and c."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def crossed(params: Sequence[str]) -> str:
    """Parameters that act together: lr × batch_size."""
    return " × ".join(params)
