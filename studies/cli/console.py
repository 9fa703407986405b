"""The terminal of the commands, and tables that fit it. It prints every name as it is.

Context: rich reads `[v2]` as markup and `:smile:` as an emoji, so a study's name could vanish or stop a command. An
escape sequence in a name would reach the terminal. Choice: one console for all commands reads no markup and no emoji,
and escapes control characters. Cost: a style is given by `Text`, never by markup.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from studies.text.printable import printable

INDENT = "    "  # of the cells below a row's name, if the table does not fit


class StudyConsole(Console):
    """A console that escapes control characters in each text."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print `objects`, as rich does."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)


def make_console(*, width: int | None = None, file: IO[str] | None = None) -> Console:
    """Build the console of a command, as wide as the terminal and on its output unless other ones are given."""
    return StudyConsole(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width, file=file)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, unbroken: Collection[str]) -> None:
    """Print `rows` as a table, or one below the other if the screen is too narrow.

    The columns `unbroken` stay on one line. All others are broken between words only.
    """
    console = make_console()
    widths = _widths(columns, rows, console.width, unbroken=unbroken)
    if widths is None:
        for row in rows:
            print("\n".join(_lines(columns, row, width=console.width)))
        return
    table = Table()
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, width=width, no_wrap=column in unbroken)
    for row in rows:
        table.add_row(*row)
    console.print(table, soft_wrap=False)


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, unbroken: Collection[str]
) -> list[int] | None:
    """Return a width for each column of a table that is at most `width` wide. None if there is no room for it."""
    cells_of = list(zip(columns, *rows, strict=True))
    whole = [max(map(cell_len, cells)) for cells in cells_of]
    words = [max(cell_len(word) for cell in cells for word in cell.split()) for cells in cells_of]
    widths = [most if name in unbroken else least for name, most, least in zip(columns, whole, words, strict=True)]
    spare = width - sum(widths) - 3 * len(widths) - 1  # a line and a space on each side
    if spare < 0:
        return None
    for _ in range(spare):  # to the narrowest column that wants more
        wanting = [index for index, most in enumerate(whole) if widths[index] < most]
        if wanting:
            widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def _lines(columns: Sequence[str], row: Sequence[str], *, width: int) -> Iterator[str]:
    """Yield the cells of `row` below its first cell, broken between words where the screen ends."""
    name, *cells = row
    yield name
    for column, cell in zip(columns[1:], cells, strict=True):
        yield from textwrap.wrap(
            f"{column}: {cell}",
            max(width, 1),
            initial_indent=INDENT,
            subsequent_indent=INDENT * 2,
            break_long_words=False,
            break_on_hyphens=False,
        )
