"""Markdown: tables, code, and names that are shown as they are; and how a share of the variance is put."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from studies.text.printable import printable

FEWEST_OF_TIE = 4  # seeds: fewer hardly ever tell two configurations apart, so that they do not says nothing
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


def share_of_variance(effect: Ranged) -> str:
    """A share in words: 12 % of the variance [8, 17]."""
    ends = f"[{100 * effect.ci_lo:.0f}, {100 * effect.ci_hi:.0f}]"
    return f"{100 * effect.estimate:.0f} % of the variance {ends}"


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
