"""What one section of a report concludes, as plain data: no Markdown, no HTML, no terminal codes.

Renderers turn findings into a medium. Text in a block is shown as it is, so a name that looks like markup is no markup.
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
    """A table as people read it. `marks` has a word for each row, such as `best`, by which a page may paint it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and the numbers that it is drawn from.

    A picture that cannot be checked against its numbers is decoration. So `draw` gets `rows`, which are also written
    as CSV, and nothing else that was measured. It puts them on a figure of `width` × `height` inches. `folder` lies
    below the output folder, and `name` is that of the files NAME.png and NAME.csv in it. `label` says what the numbers
    are. Without one, the report lists the folder as a whole.
    """

    name: str
    caption: str
    width: float
    height: float
    columns: tuple[str, ...]
    rows: Rows
    draw: Callable[[Figure, Rows], None]
    folder: str = "figures"
    label: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A text file that the section leaves at `name`, a path below the output folder. `label` says what it holds."""

    label: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that the study left before: where it lies, and what it holds."""

    label: str
    path: Path


Block = Paragraph | Bullets | Heading | Command | Table | Drawing | File | Reference


@dataclass(frozen=True, slots=True)
class Finding:
    """What a section says of a study.

    `headline` has the sentences for those who read nothing else. They carry a number only where its verdict is ok.
    `page` names the files NAME.md, NAME.html and NAME.tex that hold this finding alone, if any.
    """

    title: str
    level: Level = "info"
    headline: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    page: str = ""


def bullets(sentences: Sequence[str]) -> tuple[Bullets, ...]:
    """Return a list of these sentences, or nothing where there are none."""
    return (Bullets(tuple(map(Paragraph, sentences))),) if sentences else ()


def paragraphs(*texts: str) -> tuple[Paragraph, ...]:
    """Return a paragraph for each text that is not empty."""
    return tuple(map(Paragraph, filter(None, texts)))
