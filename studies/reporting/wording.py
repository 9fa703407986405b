"""Estimates in words, and Markdown that shows tables, code and names as they are."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from studies.analysis.estimate import Estimate
from studies.text.printable import printable
from studies.text.wording import NONE

UNBOUNDED = "unbounded"
FEWEST_OF_TIE = 4  # seeds: with fewer, a missing difference says nothing
MARKUP = re.compile(  # markup of Markdown: emphasis, code, links, HTML, and marks at the end of a title
    r"[*`]|\\(?=[!-/:-@\[-`{-~])|(?<!\w)_|_(?!\w)|(?<=\])\(|<(?=[A-Za-z/!?])|~(?=~)|(?<=\s)#(?=#*\s*$)"
)


def estimate_text(found: Estimate | None, spec: str = ".4f", *, percent: bool = False, signed: bool = False) -> str:
    """Return a value with its interval: 0.9512 [0.9481, 0.9543], or 12 % [8, 17] in `percent`.

    `spec` is the format of each number. A value without an interval says why.
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


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. Cells show their text as it is, without markup."""
    lines = [[*map(plain, header)], ["---"] * len(header), *([*map(plain, cells)] for cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain(text: str) -> str:
    """Return `text` as Markdown that shows it as it is, on one line and in one cell of a table."""
    return MARKUP.sub(r"\\\g<0>", " ".join(printable(text).splitlines())).replace("|", "∣")


def code(text: str) -> str:
    """Return `text` as a piece of code in Markdown."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
