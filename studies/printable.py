"""Text from a storage as a terminal or a page may show it: no character in it can command the terminal.

Context: another tool's study, or a training's error, may hold any character: an escape sequence clears a screen or sets
its title, a direction mark turns a line round, and half a character of UTF-16 cannot be written at all. Choice: all of
these stand as Python writes them (`\\x1b`). Cost: a name with such a character is not shown as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

COMMANDING: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters, but for tab and newline
    r"|[\u2028\u2029\u202a-\u202e\u2066-\u2069]"  # ends of lines and paragraphs, and turns of direction
    r"|[\ud800-\udfff]"  # halves of characters
)
BREAKS: Final = re.compile(r"[\t\n]")


def printable(text: str) -> str:
    """Return `text` with every character escaped that is no text; lines and tabs stay."""
    return COMMANDING.sub(_escaped, text)


def on_one_line(text: str) -> str:
    """Return `text` as `printable`, with line breaks and tabs escaped too: the name of something."""
    return BREAKS.sub(_escaped, printable(text))


def write_page(path: Path, text: str) -> None:
    """Write `text`, which people read, into the file at `path`."""
    path.write_text(printable(text), encoding="utf-8")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
