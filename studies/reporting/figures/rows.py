"""The rows of a drawing as numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from studies.reporting.finding import Rows

Array = npt.NDArray[np.float64]


def numbers(rows: Rows, column: str) -> Array:
    """Return a column as numbers, with NaN where a cell is empty."""
    return np.array([np.nan if (cell := row.get(column)) is None else cell for row in rows], dtype=float)


def series(rows: Rows, name: str) -> Rows:
    """Return the rows whose column `series` has this name."""
    return [row for row in rows if row["series"] == name]
