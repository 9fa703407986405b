"""A CSV file: the same numbers give the same bytes, and a number that does not exist is an empty cell."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from studies.text.printable import printable

Cell = str | float | int | bool | None
Row = Mapping[str, Cell]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write rows under a header of `columns`; a table without rows is its header. A float has as many digits as it
    takes to read the same float again; NaN and None are empty."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(row.get(column)) for column in columns] for row in rows)
    return path


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return repr(float(cell)) if isinstance(cell, float) else printable(str(cell))
