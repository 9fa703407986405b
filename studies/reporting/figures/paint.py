"""What all figures share: colours, marks, labels, and columns as numbers.

Colour-blind readers can tell these colours apart (Okabe and Ito 2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from studies.reporting.finding import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

BLUE, ORANGE, GREY, BLACK, RED = "#0072B2", "#E69F00", "#777777", "#222222", "#D55E00"
APART = (GREY, BLACK, "#56B4E9", BLUE, RED, ORANGE, "#009E73", "#CC79A7")  # for lines that have no order
STYLES = ("-", "--", "-.", ":")
SEQUENCE = "cividis"  # from low to high
DIVERGING = "PuOr"  # around zero
BAND = 0.22  # opacity of a 95 % band
FAR = 3.0  # interquartile ranges beyond the quartiles: values further out are drawn at the edge


def numbers(rows: Rows, column: str) -> Array:
    """Return a column as numbers, with NaN where a cell is empty."""
    return np.array([np.nan if (cell := row.get(column)) is None else cell for row in rows], dtype=float)


def series(rows: Rows, name: str) -> Rows:
    """Return the rows whose column `series` has this name."""
    return [row for row in rows if row["series"] == name]


def ordered_colours(n: int) -> list[tuple[float, float, float, float]]:
    """Return `n` colours in a visible order, without the palest."""
    from matplotlib import colormaps

    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.85, n))]


def within(values: Array, *drawn: Array) -> tuple[float, float]:
    """Return limits around `drawn` and around all values but the outliers."""
    first, third = np.percentile(values, [25, 75])
    reach = FAR * (third - first)
    near = values[(values >= first - reach) & (values <= third + reach)]
    everything = np.concatenate([near, *drawn])
    lo, hi = float(everything.min()), float(everything.max())
    margin = 0.05 * (hi - lo) or 0.5
    return lo - margin, hi + margin


def scatter(
    axes: Axes,
    x: Array,
    y: Array,
    *,
    limits: tuple[float, float],
    colour: object = GREY,
    label: str | None = None,
) -> None:
    """Draw trials as dots, and those beyond the limits as open triangles at the edge."""
    lo, hi = limits
    inside = (y >= lo) & (y <= hi)
    axes.scatter(x[inside], y[inside], s=14, color=colour, alpha=0.6, linewidths=0, label=label, zorder=2)
    for beyond, edge, mark in ((y > hi, hi, "^"), (y < lo, lo, "v")):
        if beyond.any():
            place = edge - 0.02 * (hi - lo) * (1 if mark == "^" else -1)
            marks = axes.scatter(x[beyond], np.full(int(beyond.sum()), place), s=26, marker=mark, zorder=3)
            marks.set(facecolor="none", edgecolor=colour)
    axes.set_ylim(lo, hi)


def label(axes: Axes, title: str, *, y: str, x: str | None = None) -> None:
    """Give a figure its title, the names of its axes, and a pale grid. Without `x` that axis has its name already."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(y)
    if x is not None:
        axes.set_xlabel(x)
    axes.grid(color=GREY, alpha=0.15)
