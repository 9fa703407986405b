"""How numbers are put into words: counts with their nouns, shares, intervals, and Markdown tables of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studies.printable import printable

if TYPE_CHECKING:
    from studies.analysis.estimate import Estimate

FEWEST_OF_TIE = 4  # seeds: fewer hardly ever tell two configurations apart, so that they do not says nothing
NONE = "–"  # where there is no number
UNBOUNDED = "unbounded"
MARKUP = re.compile(  # what Markdown would read: emphasis, code, links, HTML, and marks at the end of a title
    r"[*`]|\\(?=[!-/:-@\[-`{-~])|(?<!\w)_|_(?!\w)|(?<=\])\(|<(?=[A-Za-z/!?])|~(?=~)|(?<=\s)#(?=#*\s*$)"
)


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


def estimate_text(found: Estimate | None, spec: str = ".4f", *, percent: bool = False, signed: bool = False) -> str:
    """Return a value with its interval: 0.9512 [0.9481, 0.9543], or 12 % [8, 17] in `percent`.

    `spec` is the format of each number. A value without an interval says why it has none.
    """
    if found is None or math.isnan(found.value):
        return NONE
    number = found.value * (100 if percent else 1)
    value = f"{number:z{spec}}{' %' if percent else ''}"
    if signed and number > 0 and float(f"{number:{spec}}"):
        value = f"+{value}"
    ends = interval_text(found, spec, percent=percent)
    if ends == NONE:
        return f"{value} (all equal)" if (found.n or 0) > 1 else value
    return f"{value} ({ends})" if ends == UNBOUNDED else f"{value} {ends}"


def interval_text(found: Estimate | None, spec: str = ".4f", *, percent: bool = False) -> str:
    """Return the interval alone: [0.9481, 0.9543]."""
    if found is None or found.lo is None or found.hi is None:
        return NONE
    if math.isinf(found.lo) and math.isinf(found.hi):
        return UNBOUNDED
    scale = 100 if percent else 1
    lo, hi = (f"{end * scale:z{spec}}" for end in (found.lo, found.hi))
    return f"[{lo}, {hi}]"


def share_of_variance(share: Estimate) -> str:
    """Return a share in words: 12 % [8, 17] of the variance."""
    return f"{estimate_text(share, '.0f', percent=True)} of the variance"


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
