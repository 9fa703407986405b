"""CSV text: the same numbers give the same bytes, and a missing number is an empty cell."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studies.text.printable import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from studies.analysis.estimate import Estimate

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


def fields_of(record: DataclassInstance) -> dict[str, Any]:
    """Return the fields of a dataclass by name, its values as they are."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def estimate_cells(name: str, found: Estimate | None, *, ends: str = "ci") -> dict[str, float | None]:
    """Return the cells of an estimate: its value in the column `name`, and its ends."""
    value, lo, hi = (None, None, None) if found is None else (found.value, found.lo, found.hi)
    return {name: value, f"{ends}_lo": lo, f"{ends}_hi": hi}


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return repr(float(cell)) if isinstance(cell, float) else printable(str(cell))
