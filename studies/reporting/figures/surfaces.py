"""Two parameters together: the fitted surface, the interaction alone, their uncertainty, and the ridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.reporting.csv_table import Cell, Row
from studies.reporting.figures import scale
from studies.reporting.figures.paint import BLACK, DIVERGING, ORANGE, SEQUENCE, Array, numbers, series
from studies.reporting.figures.subject import close_pairs, fit_with, short, title
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis
    from studies.analysis.axis import Axis
    from studies.analysis.fit import Fit
    from studies.analysis.law.ridge import Ridge

N_CELLS = 41  # along a continuous parameter
WIDTH, HEIGHT = 13.0, 4.4  # inches
SLOPES = {"slope 1/2": 0.5, "slope 1": 1.0}
LINES: dict[str, tuple[str, str]] = {
    "ridge": ("-", "ridge"),
    "slope 1/2": ("--", "slope ½"),
    "slope 1": (":", "slope 1"),
}
PANELS = {"fitted": "fitted", "interaction": "interaction alone", "sd": "posterior sd"}


def surfaces(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield a drawing for each pair of `close_pairs`, with the tuned parameter upright.

    Its CSV is in the parameters' own units and has these series:

    - `surface`, on a grid of both: `fitted` (the mean over all other parameters), `interaction` (the same without both
      main effects) and `sd` (the posterior's standard deviation of `fitted`).
    - `trial`.
    - `ridge`, and lines with slopes ½ and 1 through its middle, if the pair has a ridge.
    """
    for (tuned, followed), ridge in close_pairs(analysis):
        fit = fit_with(analysis, [tuned, followed])
        if fit is not None:
            yield _surface(fit, tuned, followed, ridge, metric)


def _surface(fit: Fit, tuned: str, followed: str, ridge: Ridge | None, metric: str) -> Drawing:
    axes = {axis.name: axis for axis in fit.table.axes}
    along_x, along_y = axes[followed], axes[tuned]
    rows = [*_grid(fit, along_x, along_y), *_trials(fit, along_x, along_y)]
    if ridge is not None:
        rows += _lines(ridge, along_x, along_y)
    heading = title(f"{metric} over {tuned} and {followed}", fit, width=WIDTH)
    return Drawing(
        name=f"surface_{tuned}_{followed}",
        caption=f"{tuned} and {followed} together: fitted, the interaction alone, and the posterior standard deviation",
        width=WIDTH,
        height=HEIGHT,
        columns=("series", f"params_{followed}", f"params_{tuned}", *PANELS, "trial"),
        rows=rows,
        draw=lambda figure, drawn: _draw(figure, drawn, sides=(along_x, along_y), metric=metric, heading=heading),
    )


def _grid(fit: Fit, along_x: Axis, along_y: Axis) -> Iterator[Row]:
    assert fit.sobol is not None
    surface, names = fit.sobol.surface, fit.table.names
    i, j = names.index(along_x.name), names.index(along_y.name)
    unit_x, unit_y = scale.middles(along_x, N_CELLS), scale.middles(along_y, N_CELLS)
    functions = surface.pair(i, j, unit_x, unit_y)
    interaction = surface.pair(i, j, unit_x, unit_y, interaction_only=True)[0]
    sd = functions[1:].std(axis=0)
    for k, x in enumerate(scale.cells_at(along_x, unit_x)):
        for m, y in enumerate(scale.cells_at(along_y, unit_y)):
            yield {
                **_point("surface", along_x, x, along_y, y),
                "fitted": float(functions[0, k, m]),
                "interaction": float(interaction[k, m]),
                "sd": float(sd[k, m]),
            }


def _trials(fit: Fit, along_x: Axis, along_y: Axis) -> Iterator[Row]:
    table = fit.table
    columns = [table.x[:, table.names.index(axis.name)] for axis in (along_x, along_y)]
    places = zip(scale.cells_of(along_x, columns[0]), scale.cells_of(along_y, columns[1]), table.numbers, strict=True)
    for x, y, number in places:
        yield {**_point("trial", along_x, x, along_y, y), "trial": int(number)}


def _lines(ridge: Ridge, along_x: Axis, along_y: Axis) -> Iterator[Row]:
    """Yield the ridge, and on two logarithmic axes the usual laws through its middle."""
    undo = [_from_decades(axis) for axis in (along_x, along_y)]
    for x, y in ridge.points:
        yield _point("ridge", along_x, undo[0](x), along_y, undo[1](y))
    if not ridge.points or not (scale.is_logarithmic(along_x) and scale.is_logarithmic(along_y)):
        return
    middle_x, middle_y = np.mean(ridge.points, axis=0)
    ends = [ridge.points[0][0], ridge.points[-1][0]]
    for name, slope in SLOPES.items():
        for x in ends:
            y = float(middle_y + slope * (x - middle_x))
            yield _point(name, along_x, undo[0](x), along_y, undo[1](y))


def _from_decades(axis: Axis) -> Callable[[float], float]:
    """Convert from log10 or the plain value to the parameter's own unit."""
    return (lambda value: float(10.0**value)) if scale.is_logarithmic(axis) else float


def _point(name: str, along_x: Axis, x: Cell, along_y: Axis, y: Cell) -> Row:
    return {"series": name, f"params_{along_x.name}": x, f"params_{along_y.name}": y}


def _draw(figure: Figure, rows: Rows, *, sides: tuple[Axis, Axis], metric: str, heading: str) -> None:
    figure.suptitle(heading, fontsize=10, x=0.01, ha="left")
    edges = [scale.edges(axis, N_CELLS) for axis in sides]
    for axes, (column, words) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        values = numbers(series(rows, "surface"), column).reshape(len(edges[0]) - 1, len(edges[1]) - 1)
        reach = float(np.abs(values).max()) or 1.0
        limits = {"vmin": -reach, "vmax": reach} if column == "interaction" else {}
        colours = DIVERGING if column == "interaction" else SEQUENCE
        mesh = axes.pcolormesh(edges[0], edges[1], values.T, cmap=colours, **limits)
        figure.colorbar(mesh, ax=axes).set_label(f"{short(metric)}: {words}", fontsize=9)
        _draw_over(axes, rows, sides)
        axes.set_title(words, fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def _draw_over(axes: Axes, rows: Rows, sides: tuple[Axis, Axis]) -> None:
    """Draw trials, ridge and laws on top of a surface."""
    from matplotlib import patheffects

    scale.dress(axes, "x", sides[0], is_small=True)
    scale.dress(axes, "y", sides[1], is_small=True)
    x_limits, y_limits = axes.get_xlim(), axes.get_ylim()
    trials = axes.scatter(*_places(series(rows, "trial"), sides), s=12, facecolor="white", label="trials", zorder=3)
    trials.set(edgecolor=BLACK, linewidth=0.5)
    for name, (style, words) in LINES.items():
        found = series(rows, name)
        if found:
            colour = ORANGE if name == "ridge" else "white"
            (line,) = axes.plot(*_places(found, sides), style, color=colour, linewidth=2.0, label=words, zorder=4)
            line.set_path_effects([patheffects.withStroke(linewidth=3.6, foreground=BLACK)])
    axes.set(xlim=x_limits, ylim=y_limits)


def _places(rows: Rows, sides: Sequence[Axis]) -> tuple[Array, Array]:
    x, y = (scale.places_of(axis, [row[f"params_{axis.name}"] for row in rows]) for axis in sides)
    return x, y
