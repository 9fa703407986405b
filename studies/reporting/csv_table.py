"""CSV text: the same numbers give the same bytes, and a missing number is an empty cell."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from studies.text.printable import printable

Cell = str | float | int | bool | None
Row = Mapping[str, Cell]


def csv_text(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return rows under a header of `columns`. A table without rows is its header.

    Floats have enough digits to be read back exactly. NaN and None are empty.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return repr(float(cell)) if isinstance(cell, float) else printable(str(cell))
