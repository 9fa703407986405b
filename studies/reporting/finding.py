"""The conclusions of one section of a report, as plain data: no Markdown, no HTML, no terminal codes.

Renderers turn findings into a medium. They show the text of a block as it is, so a name is never taken for markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from studies.reporting.csv_table import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Level = Literal["ok", "caution", "unreliable", "info"]
Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or more. `lead` stands before `text` and is emphasised."""

    text: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list, one point an item."""

    items: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a part of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command to copy."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people. `marks` has a word for each row, such as `best`. A page may paint the row by it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and its numbers.

    A picture must be checkable against its numbers. So `draw` gets `rows` and no other measured data, and the same
    rows are written as CSV.
    """

    name: str  # of the files NAME.png and NAME.csv
    caption: str
    width: float  # inches
    height: float  # inches
    columns: tuple[str, ...]
    rows: Rows
    draw: Callable[[Figure, Rows], None]
    folder: str = "figures"  # below the output folder
    label: str = ""  # of the numbers; without one, the report lists the folder as a whole


@dataclass(frozen=True, slots=True)
class File:
    """A text file of a section. `name` is its path below the output folder, `label` says what it holds."""

    label: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An existing file of the study. `label` says what it holds."""

    label: str
    path: Path


Block = Paragraph | Bullets | Heading | Command | Table | Drawing | File | Reference


@dataclass(frozen=True, slots=True)
class Finding:
    """The conclusions of one section."""

    title: str
    level: Level = "info"
    headline: tuple[str, ...] = ()  # sentences for the top of the report; no number without verdict ok
    blocks: tuple[Block, ...] = ()
    page: str = ""  # files NAME.md, NAME.html and NAME.tex hold this finding alone


def bullets(sentences: Sequence[str]) -> tuple[Bullets, ...]:
    """Return a list of these sentences, or nothing without any."""
    return (Bullets(tuple(map(Paragraph, sentences))),) if sentences else ()


def paragraphs(*texts: str) -> tuple[Paragraph, ...]:
    """Return a paragraph for each non-empty text."""
    return tuple(map(Paragraph, filter(None, texts)))
