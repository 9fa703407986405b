"""How numbers are put into words: counts with their nouns, shares, intervals, and Markdown tables of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from studies.text.printable import printable

FEWEST_OF_TIE = 4  # seeds: fewer hardly ever tell two configurations apart, so that they do not says nothing
NONE = "–"  # where there is no number
MARKUP = re.compile(  # what Markdown would read: emphasis, code, links, HTML, and marks at the end of a title
    r"[*`]|\\(?=[!-/:-@\[-`{-~])|(?<!\w)_|_(?!\w)|(?<=\])\(|<(?=[A-Za-z/!?])|~(?=~)|(?<=\s)#(?=#*\s*$)"
)


class Ranged(Protocol):
    """An estimate with its 95 % interval, under the names that effects give them."""

    @property
    def estimate(self) -> float:
        """The estimate."""

    @property
    def ci_lo(self) -> float:
        """The interval's lower end."""

    @property
    def ci_hi(self) -> float:
        """The interval's upper end."""


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


def interval(lo: float | None, hi: float | None, digits: int = 3) -> str:
    """An interval: 0.10 to 0.20; `unbounded` where it has no ends."""
    if lo is None or hi is None or math.isnan(lo) or math.isnan(hi):
        return NONE
    return "unbounded" if math.isinf(lo) and math.isinf(hi) else f"{fixed(lo, digits)} to {fixed(hi, digits)}"


def share_of_variance(effect: Ranged) -> str:
    """A share in words: 12 % of the variance [8, 17]."""
    ends = f"[{100 * effect.ci_lo:.0f}, {100 * effect.ci_hi:.0f}]"
    return f"{100 * effect.estimate:.0f} % of the variance {ends}"


def listed(words: Sequence[str], *, last: str = "and") -> str:
    """Words as a list in a sentence: a, b and c."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def crossed(params: Sequence[str]) -> str:
    """Parameters that act together: lr × batch_size."""
    return " × ".join(params)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table. What stands in a cell is no markup: names are shown as they are."""
    lines = [[*map(plain, header)], ["---"] * len(header), *([*map(plain, cells)] for cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain(text: str) -> str:
    """Return `text` as Markdown that shows it as it is, on one line and in one cell of a table."""
    return MARKUP.sub(r"\\\g<0>", " ".join(printable(text).splitlines())).replace("|", "∣")


def code(text: str) -> str:
    """Return `text` as a piece of code in Markdown."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
