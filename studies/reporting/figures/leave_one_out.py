"""Left-out predictions against values: whether the fit predicts unseen trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.figures.paint import BLUE, GREY, label, numbers
from studies.reporting.figures.subject import short, title
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis

WIDTH, HEIGHT = 5.0, 4.8  # inches


def leave_one_out(analysis: Analysis, *, metric: str) -> Drawing | None:
    """Return the drawing of the fit over all trials, or None without one."""
    fit = analysis.whole
    if fit.sobol is None:
        return None
    heading = title(f"Left-out prediction, Q² = {fit.sobol.q2:.2f}", fit, width=WIDTH)
    found = zip(fit.table.numbers, fit.table.y, fit.sobol.predicted, strict=True)
    return Drawing(
        name="leave_one_out",
        caption="What the fit predicts for each trial from the trials at all other points, against its value",
        width=WIDTH,
        height=HEIGHT,
        columns=("trial", "value", "predicted"),
        rows=[{"trial": int(number), "value": float(y), "predicted": float(p)} for number, y, p in found],
        draw=lambda figure, rows: _draw(figure, rows, metric=metric, heading=heading),
    )


def _draw(figure: Figure, rows: Rows, *, metric: str, heading: str) -> None:
    axes = figure.add_subplot()
    value, predicted = numbers(rows, "value"), numbers(rows, "predicted")
    both = np.concatenate([value, predicted])
    margin = 0.04 * float(np.ptp(both))
    ends = float(both.min()) - margin, float(both.max()) + margin
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
    axes.scatter(predicted, value, s=16, color=BLUE, alpha=0.6, linewidths=0, zorder=2)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    label(axes, heading, x=f"{short(metric)}, predicted without the trial", y=short(metric))
