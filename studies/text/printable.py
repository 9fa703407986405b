"""Makes foreign text, such as that of a module's exception, safe to print, to log and to store.

Secrets of the config are masked (`studies.secrets.texts`). A control character may recolour or overwrite a terminal, or
reverse the order of a line. A lone surrogate cannot be printed at all, and databases refuse NUL. Each of them becomes
its escape, such as `\\x1b`.
"""

from __future__ import annotations

import re
from pathlib import Path

from studies.secrets.texts import masked

CONTROL = re.compile(  # C0 without tab and line feed, C1, direction marks, line separators, surrogates
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
BREAKS = re.compile(r"[\t\n]")
MESSAGE_LENGTH = 500  # characters; the worker's log has the whole traceback
LOOK = 20  # times the shown length; so much of a longer text is searched for secrets before it is cut
LEFT_OUT = "\n[… {n:,} characters are left out …]\n"


def printable(text: str, *, strict: bool = False, one_line: bool = False) -> str:
    """Return `text` with its secrets masked and its control characters escaped. Tabs and line feeds stay.

    `strict` also escapes every other invisible character, with tabs. `one_line` escapes tabs and line feeds.
    """
    text = masked(text)
    if text.isascii() and text.isprintable():
        return text
    text = CONTROL.sub(_escape, text.replace("\r\n", "\n"))
    if strict:
        text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return BREAKS.sub(_escape, text) if one_line else text


def write_page(path: Path, text: str) -> None:
    """Write `text` for people into the file at `path`."""
    path.write_text(printable(text), encoding="utf-8")


def shortened(text: str, length: int) -> str:
    """Return `text` as `printable`, without its middle if it is longer than `length` characters."""
    if len(text) <= length:
        return printable(text)
    half = length // 2
    begin, end = printable(text[: LOOK * half]), printable(text[-LOOK * half :])
    return begin[:half] + LEFT_OUT.format(n=len(text) - 2 * half) + end[-half:]


def brief(text: str, length: int = MESSAGE_LENGTH) -> str:
    """Return the beginning of `text` as `printable`. By default every database can keep it."""
    return printable(text[: LOOK * length])[:length]


def described(error: BaseException) -> str:
    """Return `Type: text` of `error`, brief."""
    return brief(f"{type(error).__name__}: {text_of(error)}".removesuffix(": "))


def text_of(error: BaseException) -> str:
    """Return the text of `error`. A user's class may fail to give it."""
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - whatever a user's __str__ raises
        return f"its text cannot be made: {type(failure).__name__}"


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
