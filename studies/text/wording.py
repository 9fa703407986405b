"""Puts numbers into words: counts with their nouns, p-values, lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

NONE = "–"  # in place of a missing number


def nearby(path: Path) -> str:
    """Return a path as typed in the working folder: relative if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def counted(n: int, one: str, many: str) -> str:
    """Return a number with its noun: 1 retry, 2 retries."""
    return f"{n} {one if n == 1 else many}"


def shown(value: object) -> str:
    """Return a parameter's value with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def roughly(n: int, *, most: int | None = None) -> str:
    """Return a count that is only an estimate, rounded up: about 35. From `most` on it is told as over 1000."""
    return f"over {most}" if most is not None and n >= most else f"about {rounded_up(n)}"


def rounded_up(n: int) -> int:
    """Return a count rounded up: to fives from 10 on, and to fifties from 100 on."""
    step = 1 if n < 10 else 5 if n < 100 else 50
    return -(-n // step) * step


def whole_percent(share: float) -> int:
    """Return a share in whole percent, rounded down: 94.9 % is no 95 %."""
    return math.floor(100 * share + 1e-9)


def fixed(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals, or a dash for None."""
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def p_value(p: float | None) -> str:
    """Return a p-value with three decimals, or that it is below the smallest of them."""
    return "< 0.001" if p is not None and p < 0.001 else fixed(p)


def listed(words: Sequence[str], *, last: str = "and") -> str:
    """Return words as a list in a sentence: a, b and c."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def crossed(params: Sequence[str]) -> str:
    """Return the names of parameters that act together: lr × batch_size."""
    return " × ".join(params)


def duration(seconds: float) -> str:
    """Return seconds in words: 0.4 s, 45 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
