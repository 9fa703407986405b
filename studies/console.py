"""The terminal of the commands: it prints each name as it is, also with characters that rich would interpret.

Context: rich reads `[v2]` as markup and `:smile:` as an emoji, so a study's name could vanish or stop a command.
Choice: one console for all commands, which reads neither. Cost: a style is given by `Text`, never by markup.
Control characters of a text show as their escapes, since an exception of a module may hold any.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from studies.printable import printable


class PlainConsole(Console):
    """Prints text without its control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print `objects`, as rich does."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)


def make_console(*, width: int | None = None) -> Console:
    """Build the console of a command, as wide as the terminal unless `width` says otherwise."""
    return PlainConsole(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)
