"""The front of two objectives: all configurations with their uncertainty, and a step line through the front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.csv_table import Row
from studies.reporting.figures.paint import BLUE, label, numbers, scatter, within
from studies.reporting.figures.subject import plain, short
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from studies.analysis.pareto import Front, Goal

NAME = "pareto"
WIDTH, HEIGHT = 6.4, 4.2  # inches
DECADE = 10.0  # a second objective that spans more lies on a logarithmic axis
ROOM = 0.15  # of the width, beside the points: for the words at the first one
UNITS = {"seconds": "seconds (wall clock)", "peak_memory_mb": "peak memory, MB"}


def front_drawing(front: Front) -> Drawing:
    """Return the drawing of a front.

    Its CSV has a row for each configuration: `trial`, `on_front`, `p_on_front`, `n`, the two metrics under their own
    names, the half widths of their 95 % intervals, and `params_NAME`.
    """
    names = list(dict.fromkeys(name for candidate in front.candidates for name in candidate.trial.params))
    metrics = [goal.name for goal in front.goals]
    widths = [f"{metric}_half_width" for metric in metrics]
    return Drawing(
        name=NAME,
        caption=f"{metrics[0]} against {metrics[1]}",
        width=WIDTH,
        height=HEIGHT,
        columns=("trial", "on_front", "p_on_front", "n", *metrics, *widths, *(f"params_{name}" for name in names)),
        rows=list(_rows(front, metrics, widths)),
        draw=lambda figure, rows: _draw(figure, rows, front.goals),
        folder="",
        label="front",
    )


def _rows(front: Front, metrics: list[str], widths: list[str]) -> Iterator[Row]:
    for candidate in front.candidates:
        params = {f"params_{name}": value for name, value in candidate.trial.params.items()}
        yield {
            "trial": candidate.trial.number,
            "on_front": candidate.on_front,
            "p_on_front": candidate.probability,
            "n": candidate.n,
            **dict(zip(metrics, candidate.values, strict=True)),
            **dict(zip(widths, (found.half_width for found in candidate.estimates), strict=True)),
            **params,
        }


def _draw(figure: Figure, rows: Rows, goals: tuple[Goal, Goal]) -> None:
    axes = figure.add_subplot()
    first, second = goals
    on_front = [bool(row["on_front"]) for row in rows]
    others = [row for row, is_on in zip(rows, on_front, strict=True) if not is_on]
    members = [row for row, is_on in zip(rows, on_front, strict=True) if is_on]
    x, y = numbers(members, second.name), numbers(members, first.name)
    limits = within(numbers(rows, first.name), y)
    words = f"not on the front ({len(others)})"
    scatter(axes, numbers(others, second.name), numbers(others, first.name), limits=limits, label=words)
    if np.isfinite(numbers(members, f"{first.name}_half_width")).any():
        reach = [numbers(members, f"{goal.name}_half_width") for goal in goals]
        axes.errorbar(x, y, yerr=reach[0], xerr=reach[1], fmt="none", ecolor=BLUE, alpha=0.4, zorder=2)
    axes.plot(x, y, color=BLUE, drawstyle="steps-post", linewidth=1, zorder=3)
    axes.scatter(x, y, s=20 + 60 * numbers(members, "p_on_front"), color=BLUE, zorder=4, label="on the front")
    for row, place, height in zip(members, x, y, strict=True):
        _tell(axes, f"{row['trial']} ({row['p_on_front']:.2f})", (float(place), float(height)), goals)
    everywhere = numbers(rows, second.name)
    if everywhere.min() > 0 and everywhere.max() / everywhere.min() > DECADE:
        axes.set_xscale("log")
    axes.margins(x=ROOM)
    heading = f"{short(first.name)} against {short(second.name)}: {sum(on_front)} of {len(rows)} on the front"
    lo, hi = limits
    is_cut = any(not lo <= value <= hi for value in numbers(others, first.name))
    key = f"beside a point: trial (P of being on the front){'; triangles: beyond the axis' if is_cut else ''}"
    label(axes, plain(f"{heading}\n{key}"), x=short(UNITS.get(second.name, second.name)), y=short(first.name))
    axes.legend(fontsize=8, loc="best")


def _tell(axes: Axes, words: str, place: tuple[float, float], goals: tuple[Goal, Goal]) -> None:
    """Write beside a point of the front, on its empty side: a point there would dominate it."""
    first, second = goals
    axes.annotate(
        words,
        place,
        textcoords="offset points",
        xytext=(5 if second.maximize else -5, 3 if first.maximize else -3),
        ha="left" if second.maximize else "right",
        va="bottom" if first.maximize else "top",
        fontsize=7,
    )
