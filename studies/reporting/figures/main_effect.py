"""A main effect: the metric's mean over all other parameters along one, with its band, and the trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from studies.analysis.levels import PERCENTILES
from studies.reporting.csv_table import Row
from studies.reporting.figures import scale
from studies.reporting.figures.paint import BAND, BLUE, label, numbers, scatter, series, within
from studies.reporting.figures.subject import fit_with, short, title
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis
    from studies.analysis.axis import Axis
    from studies.analysis.fit import Fit
    from studies.analysis.surface import Surface

N_POINTS = 101  # along a continuous parameter
WIDTH, HEIGHT = 5.6, 3.8  # inches


def main_effects(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield a drawing for each fitted parameter.

    Its CSV has the series `fit` (the posterior mean and its 95 % band) and `trial`, in the parameter's and the
    metric's own units.
    """
    for name in analysis.table.names:
        fit = fit_with(analysis, [name])
        if fit is not None and fit.sobol is not None:
            yield _main_effect(fit, fit.sobol.surface, fit.table.names.index(name), metric)


def _main_effect(fit: Fit, surface: Surface, i: int, metric: str) -> Drawing:
    axis = surface.axes[i]
    heading = title(f"Main effect of {axis.name}: mean, 95 % band, trials as dots", fit, width=WIDTH)
    return Drawing(
        name=f"main_{axis.name}",
        caption=f"Main effect of {axis.name}: the mean over all other parameters, its 95 % band, and the trials; the "
        "band is that of normal noise and may pass the metric's limits",
        width=WIDTH,
        height=HEIGHT,
        columns=("series", f"params_{axis.name}", "value", "ci_lo", "ci_hi", "trial"),
        rows=[*_fitted(surface, i), *_trials(fit, axis, i)],
        draw=lambda figure, rows: _draw(figure, rows, axis=axis, metric=metric, heading=heading),
    )


def _fitted(surface: Surface, i: int) -> Iterator[Row]:
    axis = surface.axes[i]
    unit = scale.along(axis, N_POINTS)
    mean, *drawn = surface.main(i, unit)
    lo, hi = np.percentile(drawn, PERCENTILES, axis=0)
    for cell, *values in zip(scale.cells_at(axis, unit), mean, lo, hi, strict=True):
        value, ci_lo, ci_hi = map(float, values)
        yield {"series": "fit", f"params_{axis.name}": cell, "value": value, "ci_lo": ci_lo, "ci_hi": ci_hi}


def _trials(fit: Fit, axis: Axis, i: int) -> Iterator[Row]:
    table = fit.table
    for cell, y, number in zip(scale.cells_of(axis, table.x[:, i]), table.y, table.numbers, strict=True):
        yield {"series": "trial", f"params_{axis.name}": cell, "value": float(y), "trial": int(number)}


def _draw(figure: Figure, rows: Rows, *, axis: Axis, metric: str, heading: str) -> None:
    axes = figure.add_subplot()
    column = f"params_{axis.name}"
    trials, fitted = series(rows, "trial"), series(rows, "fit")
    mean, lo, hi = (numbers(fitted, name) for name in ("value", "ci_lo", "ci_hi"))
    values = numbers(trials, "value")
    x = scale.places_of(axis, [row[column] for row in fitted])
    limits = within(values, lo, hi)
    scatter(axes, scale.places_of(axis, [row[column] for row in trials]), values, limits=limits)
    if axis.kind == "categorical":
        reach = [mean - np.minimum(lo, mean), np.maximum(hi, mean) - mean]
        axes.errorbar(x, mean, yerr=reach, fmt="o", color=BLUE, capsize=5, zorder=4)
    else:
        axes.fill_between(x, lo, hi, color=BLUE, alpha=BAND, linewidth=0, zorder=3)
        axes.plot(x, mean, color=BLUE, zorder=4, marker="o" if axis.levels else None, markersize=4)
    scale.dress(axes, "x", axis)
    label(axes, heading, y=short(metric))
