"""The metric against one parameter, one line for each level of another. Lines that are not parallel interact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from studies.analysis.levels import PERCENTILES
from studies.reporting.csv_table import Cell, Row
from studies.reporting.figures import scale
from studies.reporting.figures.main_effect import N_POINTS
from studies.reporting.figures.paint import BAND, Array, label, numbers, ordered_colours, scatter, series, within
from studies.reporting.figures.subject import close_pairs, fit_with, short, title
from studies.reporting.finding import Drawing, Rows
from studies.text.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis
    from studies.analysis.axis import Axis
    from studies.analysis.fit import Fit

MAX_LEVELS = 8  # of more, the trials are parted into groups of equal size
N_GROUPS = 5
WIDTH, HEIGHT = 7.4, 4.6  # inches


@dataclass(frozen=True, slots=True)
class _Groups:
    """Trials in groups by the level of a parameter."""

    levels: Array  # encoded, one a group
    of_trial: npt.NDArray[np.intp]  # (n,): the group of each trial


def metric_by_level(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield a drawing for each pair of `close_pairs`.

    Its CSV has the series `fit` (mean over the other parameters and 95 % band) and `trial`, each with the `level` of
    the second parameter. Trials are grouped if that has more than eight levels. Then `level` is the middle of a
    trial's group and `params_NAME` its own value.
    """
    for (tuned, followed), _ in close_pairs(analysis):
        fit = fit_with(analysis, [tuned, followed])
        if fit is not None:
            yield _metric_by_level(fit, tuned, followed, metric)


def _metric_by_level(fit: Fit, tuned: str, followed: str, metric: str) -> Drawing:
    i, j = fit.table.names.index(tuned), fit.table.names.index(followed)
    axes = fit.table.axes[i], fit.table.axes[j]
    groups = _groups(axes[1], fit.table.x[:, j])
    heading = title(f"{metric} against {tuned} for each {followed}", fit, width=WIDTH)
    return Drawing(
        name=f"loss_against_{tuned}_for_each_{followed}",
        caption=f"{metric} against {tuned} for each {followed}: fitted mean, 95 % band, and the trials",
        width=WIDTH,
        height=HEIGHT,
        columns=("series", "level", f"params_{tuned}", "value", "ci_lo", "ci_hi", f"params_{followed}", "trial"),
        rows=[*_fitted(fit, i, j, groups), *_trials(fit, i, j, groups)],
        draw=lambda figure, rows: _draw(figure, rows, axis=axes[0], other=axes[1], metric=metric, heading=heading),
    )


def _groups(axis: Axis, encoded: Array) -> _Groups:
    tried, of_trial = np.unique(encoded, return_inverse=True)
    if len(tried) <= MAX_LEVELS or axis.kind == "categorical":
        return _Groups(tried, of_trial.ravel())
    bounds = np.unique(np.quantile(encoded, np.linspace(0, 1, N_GROUPS + 1)[1:-1]))
    of_trial = np.searchsorted(bounds, encoded)
    filled, of_trial = np.unique(of_trial, return_inverse=True)
    return _Groups(np.array([np.median(encoded[of_trial == k]) for k in range(len(filled))]), of_trial.ravel())


def _fitted(fit: Fit, i: int, j: int, groups: _Groups) -> Iterator[Row]:
    assert fit.sobol is not None
    axis, other = fit.table.axes[i], fit.table.axes[j]
    unit = scale.along(axis, N_POINTS)
    functions = fit.sobol.surface.pair(i, j, unit, other.unit(groups.levels))
    lo, hi = np.percentile(functions[1:], PERCENTILES, axis=0)
    cells = scale.cells_at(axis, unit)
    for k, level in enumerate(scale.cells_of(other, groups.levels)):
        for m, cell in enumerate(cells):
            yield {
                "series": "fit",
                "level": level,
                f"params_{axis.name}": cell,
                "value": float(functions[0, m, k]),
                "ci_lo": float(lo[m, k]),
                "ci_hi": float(hi[m, k]),
            }


def _trials(fit: Fit, i: int, j: int, groups: _Groups) -> Iterator[Row]:
    table = fit.table
    axis, other = table.axes[i], table.axes[j]
    levels = scale.cells_of(other, groups.levels)
    places = zip(scale.cells_of(axis, table.x[:, i]), scale.cells_of(other, table.x[:, j]), strict=True)
    for k, (cell, own) in enumerate(places):
        yield {
            "series": "trial",
            "level": levels[groups.of_trial[k]],
            f"params_{axis.name}": cell,
            "value": float(table.y[k]),
            f"params_{other.name}": own,
            "trial": int(table.numbers[k]),
        }


def _draw(figure: Figure, rows: Rows, *, axis: Axis, other: Axis, metric: str, heading: str) -> None:
    axes = figure.add_subplot()
    column = f"params_{axis.name}"
    fitted, trials = series(rows, "fit"), series(rows, "trial")
    levels: list[Cell] = list(dict.fromkeys(row["level"] for row in fitted))
    limits = within(numbers(trials, "value"), numbers(fitted, "ci_lo"), numbers(fitted, "ci_hi"))
    for level, colour in zip(levels, ordered_colours(len(levels)), strict=True):
        line, dots = _at(fitted, level), _at(trials, level)
        x = scale.places_of(axis, [row[column] for row in line])
        axes.fill_between(x, numbers(line, "ci_lo"), numbers(line, "ci_hi"), color=colour, alpha=BAND / 2, linewidth=0)
        mark = "o" if axis.levels else None
        axes.plot(
            x, numbers(line, "value"), color=colour, marker=mark, markersize=4, label=short(shown(level)), zorder=4
        )
        places = scale.places_of(axis, [row[column] for row in dots])
        scatter(axes, places, numbers(dots, "value"), limits=limits, colour=colour)
    scale.dress(axes, "x", axis)
    label(axes, heading, y=short(metric))
    are_levels = all(row["level"] == row[f"params_{other.name}"] for row in trials)  # not merely near them
    about = short(other.name) if are_levels else f"around\n{short(other.name)}"
    figure.legend(title=about, loc="outside right center", frameon=False)


def _at(rows: Rows, level: Cell) -> Rows:
    return [row for row in rows if row["level"] == level]
