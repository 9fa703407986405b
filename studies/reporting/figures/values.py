"""The metric for each value of a scientific parameter, with intervals: tuned, and all else at the default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.analysis.values.table import ValueTable
from studies.reporting.csv_table import Row, estimate_cells
from studies.reporting.figures.paint import BLUE, ORANGE, Array, label, numbers, series
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "values"
WIDTH, HEIGHT = 7.4, 4.2  # inches
LOOKS = {"tuned": (BLUE, "o", "at its best"), "fixed": (ORANGE, "s", "all else at its default")}
APART = 0.12  # of a value's place
RINGS = {"best": "-", "equivalent": "--", "not_shown": ":"}
SQUEEZED = 4  # all values spread so many times as far as the best and those not shown to be worse: the axis shows these
ROOM = 0.1  # of their range, around what is shown


def values_drawing(views: Sequence[ValueTable], *, metric: str) -> Drawing:
    """Return a drawing with a mark and a 95 % interval for each value and view. In the CSV `series` is the view.

    A value that diverged everywhere has no mark.
    """
    name = views[0].name
    return Drawing(
        name=NAME,
        caption=f"{metric} for each {name}, mean over training seeds and 95 % interval",
        width=WIDTH,
        height=HEIGHT,
        columns=("series", "value", "metric", "ci_lo", "ci_hi", "n", "standing"),
        rows=list(_rows(views)),
        draw=lambda figure, rows: _draw(figure, rows, name=name, metric=metric),
    )


def _rows(views: Sequence[ValueTable]) -> Iterator[Row]:
    for view in views:
        for row in view.rows:
            yield {
                "series": view.view,
                "value": row.label,
                **estimate_cells("metric", row.metric),
                "n": row.n,
                "standing": row.standing.word,
            }


def _draw(figure: Figure, rows: Rows, *, name: str, metric: str) -> None:
    axes = figure.add_subplot()
    labels = list(dict.fromkeys(str(row["value"]) for row in rows))
    shown = [view for view in LOOKS if series(rows, view)]
    window = _window(rows)
    for k, view in enumerate(shown):
        colour, mark, words = LOOKS[view]
        own = series(rows, view)
        places = np.array([labels.index(str(row["value"])) for row in own]) + (k - (len(shown) - 1) / 2) * 2 * APART
        middle, lo, hi = (numbers(own, column) for column in ("metric", "ci_lo", "ci_hi"))
        errors = np.nan_to_num(np.array([middle - lo, hi - middle]))
        axes.errorbar(places, middle, yerr=errors, fmt=mark, color=colour, capsize=3, label=words)
        for word, line in RINGS.items():
            ringed = np.array([row["standing"] == word for row in own])
            axes.scatter(
                places[ringed],
                middle[ringed],
                s=140,
                facecolor="none",
                edgecolor=colour,
                linewidths=0.8,
                linestyle=line,
            )
        if window is not None:
            _mark_outside(axes, places, middle, window, colour=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=20 if max(map(len, labels)) > 8 else 0)
    title = "ring: the best; dashed: equivalent; dotted: neither shown; none: worse"
    if window is not None:
        axes.set_ylim(*window)
        title += "; arrow: beyond the axis, at that number"
    label(axes, title, x=name, y=metric)
    axes.legend(frameon=False)


def _window(rows: Rows) -> tuple[float, float] | None:
    """Return the ends of the axis if values far off would squeeze those near the best. None if all values fit.

    The axis then holds the values within one spread of those that are not worse.
    """
    middle, lo, hi = (numbers(rows, column) for column in ("metric", "ci_lo", "ci_hi"))
    lo, hi = np.where(np.isnan(lo), middle, lo), np.where(np.isnan(hi), middle, hi)
    near = np.array([row["standing"] in RINGS for row in rows])
    if not near.any():
        return None
    low, high = float(lo[near].min()), float(hi[near].max())
    span = high - low
    known = ~np.isnan(middle)
    if not 0 < SQUEEZED * span < float(middle[known].max() - middle[known].min()):
        return None
    inside = (middle >= low - span) & (middle <= high + span)
    room = ROOM * span
    return max(low - span, float(lo[inside].min())) - room, min(high + span, float(hi[inside].max())) + room


def _mark_outside(axes: Axes, places: Array, middle: Array, window: tuple[float, float], *, colour: str) -> None:
    """Draw an arrow at the axis' end, with its number, for each value beyond."""
    low, high = window
    for place, value in zip(places, middle, strict=True):
        if low <= value <= high or np.isnan(value):
            continue
        is_below = value < low
        end, sign = (low, 1) if is_below else (high, -1)
        tip, tail = end + sign * 0.02 * (high - low), end + sign * 0.1 * (high - low)
        axes.annotate("", xy=(place, tip), xytext=(place, tail), arrowprops={"arrowstyle": "->", "color": colour})
        side = "bottom" if is_below else "top"
        axes.text(place, tail, f"{value:.4g}", color=colour, rotation=90, ha="center", va=side, fontsize=8)
