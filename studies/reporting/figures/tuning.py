"""What has to be tuned: the loss of each parameter at its default, with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.csv_table import estimate_cells
from studies.reporting.figures.paint import BLUE, GREY, label, numbers
from studies.reporting.figures.subject import short, title
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis

WIDTH, MARGIN, ROW = 5.6, 1.6, 0.32  # inches: the figure's width, its height without rows, and a row's


def tuning(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield the drawing. Its CSV has a row for each parameter, the greatest loss first. Nothing without a fit."""
    rows = analysis.tunability
    if not rows:
        return
    what = "Lost if a parameter is not tuned: 95 % interval; dashed: the tolerance"
    heading = title(what, analysis.whole, width=WIDTH)
    yield Drawing(
        name="tuning",
        caption=f"Lost in {metric} if a parameter keeps its default and all others are tuned: 95 % intervals; what is "
        "left of the dashed line does not matter",
        width=WIDTH,
        height=MARGIN + ROW * len(rows),
        columns=("params", "loss", "ci_lo", "ci_hi", "tolerance"),
        rows=[{"params": row.name, "tolerance": row.tolerance, **estimate_cells("loss", row.loss)} for row in rows],
        draw=lambda figure, drawn: _draw(figure, drawn, metric=metric, heading=heading),
    )


def _draw(figure: Figure, rows: Rows, *, metric: str, heading: str) -> None:
    axes = figure.add_subplot()
    loss, lo, hi = (numbers(rows, name) for name in ("loss", "ci_lo", "ci_hi"))
    places = np.arange(len(rows))
    reach = [loss - np.minimum(lo, loss), np.maximum(hi, loss) - loss]
    axes.errorbar(loss, places, xerr=reach, fmt="o", color=BLUE, capsize=4, zorder=3)
    axes.axvline(float(numbers(rows, "tolerance")[0]), color=GREY, linestyle="--", zorder=2)
    axes.set_yticks(places, [short(str(row["params"])) for row in rows])
    axes.invert_yaxis()
    label(axes, heading, y="", x=f"worse {short(metric)}")
