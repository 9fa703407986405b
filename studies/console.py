"""The terminal of the commands: it prints each name as it is, also with characters that rich would interpret.

Context: rich reads `[v2]` as markup and `:smile:` as an emoji, so a study's name could vanish or stop a command.
Choice: one console for all commands, which reads neither. Cost: a style is given by `Text`, never by markup.
"""

from __future__ import annotations

from rich.console import Console


def make_console(*, width: int | None = None) -> Console:
    """Build the console of a command, as wide as the terminal unless `width` says otherwise."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)
