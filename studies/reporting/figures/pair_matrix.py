"""The matrix of pairs: each interaction with its interval, main effects on the diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.csv_table import Row, estimate_cells
from studies.reporting.figures.paint import BLACK, Array, numbers
from studies.reporting.figures.subject import short, title
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect

COLUMNS = ("row", "column", "estimate", "ci_lo", "ci_hi", "verdict", "is_known", "is_solid")
MAX_PARAMETERS = 14  # more are not legible: those with the largest effects are drawn
CELL, LETTER = 0.95, 0.085  # inches
HATCH = "#B5B5B5"
HATCHED = "hatched: a parameter alone in doubt, a pair not claimed"
PALE = 0.3  # of a colour, the rest white, for effects that are not claimed
LEAST_TOP = 0.1  # the darkest colour stands for this share, or a larger one


def pair_matrix(analysis: Analysis, *, metric: str) -> Drawing:
    """Return the drawing of all pairs, each from the fit of its effect.

    In the CSV `is_solid` marks full colour: a claimed interaction, or a main effect with verdict ok. No number is
    drawn of a share that is not `is_known`.
    """
    every = [effect.params[0] for effect in analysis.effects if effect.order == 1]
    names = _strongest(every, analysis.effects)
    rows = [_row(effect, names) for effect in analysis.effects if effect.params and set(effect.params) <= set(names)]
    side = CELL * max(3, len(names)) + LETTER * max(len(short(name)) for name in names)
    width = side + 1.3
    some = f" ({len(names)} of {len(every)} parameters)" if len(names) < len(every) else ""
    heading = title(f"Shares of the variance of {metric}{some}; {HATCHED}", analysis.whole, width=width)
    return Drawing(
        name="interactions",
        caption=f"What each parameter does alone (diagonal) and in pairs, with 95 % intervals; {HATCHED}",
        width=width,
        height=side + 0.4,
        columns=COLUMNS,
        rows=rows,
        draw=lambda figure, drawn: _draw(figure, drawn, names=names, heading=heading),
    )


def _strongest(names: Sequence[str], effects: Sequence[Effect]) -> list[str]:
    """Return the names with the largest effects, as many as fit, in the given order."""
    strength = dict.fromkeys(names, 0.0)
    for effect in effects:
        for name in effect.params:
            strength[name] += 0.0 if math.isnan(effect.estimate.value) else effect.estimate.value
    kept = sorted(names, key=lambda name: -strength[name])[:MAX_PARAMETERS]
    return [name for name in names if name in kept]


def _row(effect: Effect, names: Sequence[str]) -> Row:
    places = sorted(names.index(name) for name in effect.params)
    return {
        "row": names[places[-1]],
        "column": names[places[0]],
        **estimate_cells("estimate", effect.estimate),
        "verdict": effect.verdict,
        "is_known": effect.is_known,
        "is_solid": effect.is_claimed if effect.order == 2 else effect.verdict == "ok",
    }


def _draw(figure: Figure, rows: Rows, *, names: Sequence[str], heading: str) -> None:
    from matplotlib import cm, colormaps, colors, patches

    axes = figure.add_subplot()
    estimates = np.where([bool(row["is_known"]) for row in rows], numbers(rows, "estimate"), 0.0)
    top = max(LEAST_TOP, float(np.nanmax(estimates, initial=0.0)))
    colours = cm.ScalarMappable(colors.Normalize(0.0, top), colormaps["Blues"])
    for row, colour in zip(rows, colours.to_rgba(np.nan_to_num(estimates)), strict=True):
        x, y = names.index(str(row["column"])), names.index(str(row["row"]))
        cell = patches.Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, edgecolor=HATCH, linewidth=0.6)
        _draw_cell(axes, cell, row, colour)
    n = len(names)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(n), labels=[short(name) for name in names], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), labels=[short(name) for name in names])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(heading, fontsize=10, x=0.02, ha="left")
    figure.colorbar(colours, ax=axes, shrink=0.6).set_label("share")


def _draw_cell(axes: Axes, cell: Rectangle, row: Row, colour: Array) -> None:
    red, green, blue = (float(part if row["is_solid"] else 1 - PALE * (1 - part)) for part in colour[:3])
    is_dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.55
    hatch = None if row["is_solid"] else "////"
    cell.set(facecolor=(red, green, blue), hatch=hatch)
    axes.add_patch(cell)
    x, y = cell.get_center()
    words = axes.text(x, y, _words(row), ha="center", va="center", fontsize=8.5, color="white" if is_dark else BLACK)
    if hatch:
        words.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2})


def _words(row: Row) -> str:
    estimate, lo, hi = (float(row[column] or 0.0) for column in ("estimate", "ci_lo", "ci_hi"))
    if math.isnan(estimate):
        return "–"
    return "not known" if not row["is_known"] else f"{estimate:.2f}\n[{lo:.2f}, {hi:.2f}]"
