"""The metric for each value of a scientific parameter, with intervals: at its best, and all else at the default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.analysis.values.table import ValueTable
from studies.report.csv_table import Row
from studies.report.figures.drawing import Drawing, Rows, numbers, series
from studies.report.figures.paint import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "values"
WIDTH, HEIGHT = 7.4, 4.2  # inches
LOOKS = {"tuned": (BLUE, "o", "at its best"), "fixed": (ORANGE, "s", "all else at its default")}
APART = 0.12  # of a value's place


def values_drawing(views: Sequence[ValueTable], *, metric: str) -> Drawing:
    """One mark with a 95 % interval for each value and view; a value that diverged everywhere has none. In the CSV
    `series` is the view."""
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
            found = row.metric
            yield {
                "series": view.view,
                "value": row.label,
                "metric": found.value if found is not None else None,
                "ci_lo": found.lo if found is not None else None,
                "ci_hi": found.hi if found is not None else None,
                "n": row.n,
                "standing": row.standing.word,
            }


def _draw(figure: Figure, rows: Rows, *, name: str, metric: str) -> None:
    axes = figure.add_subplot()
    labels = list(dict.fromkeys(str(row["value"]) for row in rows))
    shown = [view for view in LOOKS if series(rows, view)]
    for k, view in enumerate(shown):
        colour, mark, words = LOOKS[view]
        own = series(rows, view)
        places = np.array([labels.index(str(row["value"])) for row in own]) + (k - (len(shown) - 1) / 2) * 2 * APART
        middle, lo, hi = (numbers(own, column) for column in ("metric", "ci_lo", "ci_hi"))
        errors = np.nan_to_num(np.array([middle - lo, hi - middle]))
        axes.errorbar(places, middle, yerr=errors, fmt=mark, color=colour, capsize=3, label=words)
        ties = np.array([row["standing"] in ("best", "tie") for row in own])
        axes.scatter(places[ties], middle[ties], s=140, facecolor="none", edgecolor=colour, linewidths=0.8)
    axes.set_xticks(range(len(labels)), labels, rotation=20 if max(map(len, labels)) > 8 else 0)
    axes.set_xlabel(name)
    axes.set_ylabel(metric)
    axes.set_title("ringed: the best and what ties with it", fontsize=10, loc="left")
    axes.grid(color=GREY, alpha=0.15)
    axes.legend(frameon=False)
