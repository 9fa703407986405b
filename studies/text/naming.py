"""The rule for names of studies, parameters, parts of a hypothesis, callbacks and loggers.

They become names of files, columns, folders and labels, and people tell them apart by their looks.
"""

from __future__ import annotations

from studies.text.printable import printable

LONGEST_NAME = 200  # bytes; a folder's name has 255, and rounds, parts and forks add to it
REMEDY = "give a name of visible characters, without a blank at an end"


def why_no_name(name: str) -> str | None:
    """Return why `name` is not allowed, as the end of a sentence, or None if it is."""
    if not name.strip():
        return "which has no visible character"
    hidden = [character for character in name if not character.isprintable()]
    if hidden:
        return f"which holds {', '.join(_code(character) for character in dict.fromkeys(hidden[:3]))}, not visible"
    if name != name.strip():
        return "which begins or ends with a blank"
    size = len(name.encode())
    return f"which takes {size} bytes, and a name has at most {LONGEST_NAME}" if size > LONGEST_NAME else None


def shown_name(name: str) -> str:
    """Return `name` in quotes for a message, cut if it is long."""
    shown = printable(name, strict=True, one_line=True)
    return f"'{shown if len(shown) <= LONGEST_NAME else f'{shown[: LONGEST_NAME // 4]}…'}'"


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"
