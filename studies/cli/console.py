"""The terminal of the commands. It prints every name as it is.

Context: rich reads `[v2]` as markup and `:smile:` as an emoji, so a study's name could vanish or stop a command. An
escape sequence in a name would reach the terminal. Choice: one console for all commands reads no markup and no emoji,
and escapes control characters. Cost: a style is given by `Text`, never by markup.
"""

from __future__ import annotations

from typing import IO, Any

from rich.console import Console

from studies.text.printable import printable


class StudyConsole(Console):
    """A console that escapes control characters in each text."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print `objects`, as rich does."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)


def make_console(*, width: int | None = None, file: IO[str] | None = None) -> Console:
    """Build the console of a command, as wide as the terminal and on its output unless other ones are given."""
    return StudyConsole(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width, file=file)
