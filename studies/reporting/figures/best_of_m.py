"""The expected best of m trials: whether their number was enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.reporting.figures.paint import BAND, BLUE, label, numbers
from studies.reporting.figures.subject import plain, short
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.analysis.next_round.best_of_m import BestOfM

WIDTH, HEIGHT = 5.6, 3.8  # inches
BASIS = {
    "all": "all trials",
    "space-filling": "space-filling trials",
    "sequential": "all trials, taken as if no sampler had learned",
}


def best_of_m(found: BestOfM, *, metric: str) -> Drawing:
    """Return the drawing. Its CSV has the curve and its 95 % band at each number of trials."""
    rows = [
        {"n_trials": size, "expected_best": float(value), "ci_lo": float(lo), "ci_hi": float(hi)}
        for size, value, lo, hi in zip(found.sizes, found.expected, found.lo, found.hi, strict=True)
    ]
    values = "" if found.policy == "final" else f", values at {found.policy}"
    heading = f"Expected best of m trials, bootstrap 95 % band\nn = {found.n}, {BASIS[found.basis]}{values}"
    return Drawing(
        name="best_of_m",
        caption="Expected best of m trials, with its bootstrap band: where it is flat at its end, there were enough",
        width=WIDTH,
        height=HEIGHT,
        columns=("n_trials", "expected_best", "ci_lo", "ci_hi"),
        rows=rows,
        draw=lambda figure, drawn: _draw(figure, drawn, metric=metric, heading=heading),
    )


def _draw(figure: Figure, rows: Rows, *, metric: str, heading: str) -> None:
    axes = figure.add_subplot()
    sizes = numbers(rows, "n_trials")
    axes.fill_between(
        sizes, numbers(rows, "ci_lo"), numbers(rows, "ci_hi"), color=BLUE, alpha=BAND, linewidth=0, zorder=3
    )
    axes.plot(sizes, numbers(rows, "expected_best"), color=BLUE, zorder=4)
    label(axes, plain(heading), x="number of trials m", y=f"expected best {short(metric)}")
