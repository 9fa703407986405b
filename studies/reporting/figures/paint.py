"""Colours and marks of all figures. Colour-blind readers can tell these colours apart (Okabe and Ito 2008)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

BLUE, ORANGE, GREY, BLACK, RED = "#0072B2", "#E69F00", "#777777", "#222222", "#D55E00"
APART = (GREY, BLACK, "#56B4E9", BLUE, RED, ORANGE, "#009E73", "#CC79A7")  # for lines that have no order
STYLES = ("-", "--", "-.", ":")
SEQUENCE = "cividis"  # from low to high
DIVERGING = "PuOr"  # around zero
BAND = 0.22  # opacity of a 95 % band
FAR = 3.0  # interquartile ranges beyond the quartiles: values further out are drawn at the edge


def ordered_colours(n: int) -> list[tuple[float, float, float, float]]:
    """Return `n` colours in a visible order, without the palest."""
    from matplotlib import colormaps

    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.85, n))]


def within(values: NDArray[np.float64], *drawn: NDArray[np.float64]) -> tuple[float, float]:
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
    x: NDArray[np.float64],
    y: NDArray[np.float64],
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
