"""How the samplers of a benchmark get on: the median regret of each sampler, with its interval at some places.

A reader cannot tell the bands of seven samplers apart. So each has error bars at a few places, side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.figures.paint import APART, BLACK, GREY, STYLES, Array, numbers, series
from studies.reporting.finding import Drawing, Rows
from studies.sampler_benchmark.curves import Curve
from studies.sampler_benchmark.runs import base

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from studies.reporting.csv_table import Row

WIDTH, HEIGHT = 7.2, 4.6  # inches
LEAST_FLOOR = 1e-9  # in units of the regret of the median random point
N_BARS = 4  # error bars of a line, the last one at its end
ASIDE = 0.25  # of the distance between two places, for all bars at one place
AXIS = {"trials": "trials", "epochs": "epochs spent", "seconds": "seconds of training and sampler"}
COLUMNS = ("series", "spent", "median", "median_lo", "median_hi", "mean", "mean_lo", "mean_hi", "n")


def best_so_far(curves: Sequence[Curve], *, near: float) -> Drawing:
    """Return the drawing of the curves of one problem by one measure. `near` is the regret within 1 % of the best."""
    problem, measure = curves[0].problem, curves[0].measure
    n = sorted({curve.n for curve in curves})
    seeds = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    heading = f"{problem}: median regret over {seeds} seeds, bars: 95 % intervals (1: the median random point)"
    by = "" if measure == "trials" else f"_by_{measure}"
    return Drawing(
        name=f"best_so_far_{problem}{by}",
        caption=f"{problem}: the regret of what each search would hand over, by {AXIS[measure]}",
        width=WIDTH,
        height=HEIGHT,
        columns=COLUMNS,
        rows=list(curve_rows(curves)),
        draw=lambda figure, rows: _draw(figure, rows, heading=heading, label=AXIS[measure], near=near),
        folder="sampler_benchmark",
    )


def curve_rows(curves: Sequence[Curve]) -> Iterator[Row]:
    """Yield the rows of the CSV, one for each place of a curve."""
    for curve in curves:
        for place in range(len(curve.spent)):
            numbers_there = {name: float(getattr(curve, name)[place]) for name in COLUMNS[1:-1]}
            yield {"series": curve.sampler, **numbers_there, "n": curve.n}


def _draw(figure: Figure, rows: Rows, *, heading: str, label: str, near: float) -> None:
    axes = figure.add_subplot()
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    floor = _floor(np.concatenate([numbers(rows, "median"), numbers(rows, "median_lo")]))
    spent = numbers(rows, "spent")
    step = math.log(max(float(spent.max() / spent.min()), 2.0)) / N_BARS
    lines = {}
    for k, (name, (colour, style)) in enumerate(zip(names, colours_and_styles(names), strict=True)):
        own = series(rows, name)
        aside = math.exp(ASIDE * step * (k - (len(names) - 1) / 2) / len(names))
        lines[name] = _draw_line(axes, own, colour=colour, style=style, aside=aside, floor=floor)
    axes.axhline(max(near, floor), color=BLACK, linewidth=0.8, linestyle=":")
    _write(axes, max(near, floor), "within 1 % of the best")
    if min(numbers(rows, "median").min(), numbers(rows, "median_lo").min()) < floor:
        _write(axes, floor, f"{floor:.0e} or less")
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="regret")
    axes.set_title(heading, fontsize=10, loc="left")
    ordered = sorted(names, key=lambda name: -float(series(rows, name)[-1]["median"] or 0.0))
    axes.legend(
        [lines[name] for name in ordered],
        ordered,
        title="from the worst end to the best",
        title_fontsize=8,
        fontsize=8,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    axes.grid(color=GREY, alpha=0.15)


def _floor(regrets: Array) -> float:
    """Return the power of ten below all regrets except 0, for a logarithmic axis cannot show 0."""
    positive = regrets[regrets > 0]
    least = float(positive.min()) if len(positive) else 1.0
    return max(LEAST_FLOOR, float(10.0 ** math.floor(math.log10(least))))


def _draw_line(axes: Axes, own: Rows, *, colour: str, style: str, aside: float, floor: float) -> Line2D:
    """Draw the median as a line, and its interval at some places, a little `aside`."""
    spent = numbers(own, "spent")
    median, lo, hi = (np.maximum(numbers(own, column), floor) for column in ("median", "median_lo", "median_hi"))
    (line,) = axes.plot(spent, median, color=colour, linestyle=style, linewidth=1.6, drawstyle="steps-post")
    wanted = np.geomspace(spent[0], spent[-1], N_BARS + 1)[1:]
    places = np.unique(np.searchsorted(spent, wanted * (1 + 1e-9), side="right") - 1)
    ends = [(median - lo)[places], (hi - median)[places]]
    axes.errorbar(
        spent[places] * aside, median[places], yerr=ends, fmt="o", markersize=3, color=colour, linewidth=1, capsize=2
    )
    return line


def _write(axes: Axes, height: float, words: str) -> None:
    """Write words just above a height, at the left end of the axes."""
    place = axes.get_yaxis_transform()
    axes.text(0.01, height, words, transform=place, fontsize=7.5, color=BLACK, va="bottom")


def colours_and_styles(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return a colour for each sampler, and a line style for its pruner."""
    bases = list(dict.fromkeys(base(name) for name in names))
    joined = list(dict.fromkeys(name[len(base(name)) :] for name in sorted(names, key=len)))
    return [
        (APART[bases.index(base(name)) % len(APART)], STYLES[joined.index(name[len(base(name)) :]) % len(STYLES)])
        for name in names
    ]
