"""A figure to be drawn, with the numbers that it is drawn from; and how both are written.

Context: a figure that cannot be checked against its numbers is decoration. Choice: what `draw` gets are the rows of
the CSV and nothing else that was measured. Matplotlib is imported where something is drawn, for it takes a second, and
used without pyplot, so that no figure stays open anywhere.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from studies.reporting.csv_table import Row, write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Row]
Array = npt.NDArray[np.float64]

DPI = 110
MAX_NAME = 80  # letters of a file's name
OURS = re.compile(
    r"(interactions|leave_one_out|coverage|best_of_m|(main|surface|loss_against|best_so_far)_[\w-]+)\.(png|csv)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of `width` × `height` inches. `columns` and `rows` are its CSV, `draw` puts these rows on it; `caption`
    says in a report what is seen."""

    name: str
    caption: str
    width: float
    height: float
    columns: tuple[str, ...]
    rows: Rows
    draw: Callable[[Figure, Rows], None]


def write_drawings(folder: Path, drawings: Iterable[Drawing]) -> dict[str, Path]:
    """Write each as NAME.png and NAME.csv into `folder`: caption → picture. Files that an earlier report left under
    names of ours are removed; `folder` is made only where there is something to draw."""
    written: dict[str, Path] = {}
    named = list(_named(drawings))
    for drawing, name in named:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(folder / f"{name}.csv", drawing.columns, drawing.rows)
        written[drawing.caption] = _write_picture(folder / f"{name}.png", drawing)
    _remove_stale(folder, {name for _, name in named})
    return written


def write_drawing(folder: Path, drawing: Drawing) -> Path:
    """Write one beside others, under its own name: the picture's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / f"{drawing.name}.csv", drawing.columns, drawing.rows)
    return _write_picture(folder / f"{drawing.name}.png", drawing)


def numbers(rows: Rows, column: str) -> Array:
    """A column as numbers; NaN where a cell is empty."""
    return np.array([np.nan if (cell := row.get(column)) is None else cell for row in rows], dtype=float)


def series(rows: Rows, name: str) -> Rows:
    """The rows whose column `series` has this name."""
    return [row for row in rows if row["series"] == name]


def safe(name: str) -> str:
    """A name of letters, digits, `_` and `-` only."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:MAX_NAME]


def _named(drawings: Iterable[Drawing]) -> Iterator[tuple[Drawing, str]]:
    """Each drawing with a file name that no other has, upper and lower case taken as one."""
    taken: set[str] = set()
    for drawing in drawings:
        name = safe(drawing.name)
        free = next(
            n for i in range(1, len(taken) + 2) if (n := name if i == 1 else f"{name}_{i}").lower() not in taken
        )
        taken.add(free.lower())
        yield drawing, free


def _write_picture(path: Path, drawing: Drawing) -> Path:
    """Draw in matplotlib's own style, whatever the user's is; a letter that its font lacks is a box, not a warning."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=(drawing.width, drawing.height), layout="constrained")
        drawing.draw(figure, drawing.rows)
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
    return path


def _remove_stale(folder: Path, names: set[str]) -> None:
    for path in sorted(folder.glob("*")):
        if OURS.fullmatch(path.name) and path.stem not in names and path.is_file():
            path.unlink()
