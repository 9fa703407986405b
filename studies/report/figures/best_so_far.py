"""How the searches of a race get on: the median regret of each entrant, with its band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.analysis.best_so_far import Curve, base
from studies.report.figures.drawing import Drawing, Rows, numbers, series
from studies.report.figures.paint import APART, GREY, STYLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.report.csv_table import Row

WIDTH, HEIGHT = 7.2, 4.6  # inches
FLOOR = 1e-4  # of the regret of the median random point: less is drawn here
BAND = 0.12  # opacity; many lie over each other
AXIS = {"trials": "trials", "epochs": "epochs spent", "seconds": "seconds of training and sampler"}
COLUMNS = ("series", "spent", "median", "median_lo", "median_hi", "mean", "mean_lo", "mean_hi", "n")


def best_so_far(curves: Sequence[Curve], *, near: float) -> Drawing:
    """The drawing of the curves of one problem by one measure; `near` is the regret within 1 % of the best."""
    problem, measure = curves[0].problem, curves[0].measure
    n = sorted({curve.n for curve in curves})
    seeds = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    heading = f"{problem}: median regret over {seeds} seeds, 95 % bands (1: a random point)"
    by = "" if measure == "trials" else f"_by_{measure}"
    return Drawing(
        name=f"best_so_far_{problem}{by}",
        caption=f"{problem}: the regret of what each search would hand over, by {AXIS[measure]}",
        width=WIDTH,
        height=HEIGHT,
        columns=COLUMNS,
        rows=list(curve_rows(curves)),
        draw=lambda figure, rows: _draw(figure, rows, heading=heading, label=AXIS[measure], near=near),
    )


def curve_rows(curves: Sequence[Curve]) -> Iterator[Row]:
    """The rows of the CSV, one a place of a curve."""
    for curve in curves:
        columns = (curve.spent, curve.median, curve.median_lo, curve.median_hi, curve.mean, curve.mean_lo)
        for spent, median, median_lo, median_hi, mean, mean_lo, mean_hi in zip(*columns, curve.mean_hi, strict=True):
            yield {
                "series": curve.entrant,
                "spent": float(spent),
                "median": float(median),
                "median_lo": float(median_lo),
                "median_hi": float(median_hi),
                "mean": float(mean),
                "mean_lo": float(mean_lo),
                "mean_hi": float(mean_hi),
                "n": curve.n,
            }


def _draw(figure: Figure, rows: Rows, *, heading: str, label: str, near: float) -> None:
    axes = figure.add_subplot()
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    for name, (colour, style) in zip(names, looks(names), strict=True):
        own = series(rows, name)
        spent = numbers(own, "spent")
        median, lo, hi = (np.maximum(numbers(own, column), FLOOR) for column in ("median", "median_lo", "median_hi"))
        axes.fill_between(spent, lo, hi, color=colour, alpha=BAND, linewidth=0, step="post")
        axes.plot(spent, median, color=colour, linestyle=style, label=name, linewidth=1.6, drawstyle="steps-post")
    axes.axhline(max(near, FLOOR), color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="regret")
    axes.set_title(heading, fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.grid(color=GREY, alpha=0.15)


def looks(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and line style of each entrant: a sampler has a colour, what it is joined with a style."""
    bases = list(dict.fromkeys(base(name) for name in names))
    joined = list(dict.fromkeys(name[len(base(name)) :] for name in sorted(names, key=len)))
    return [
        (APART[bases.index(base(name)) % len(APART)], STYLES[joined.index(name[len(base(name)) :]) % len(STYLES)])
        for name in names
    ]
