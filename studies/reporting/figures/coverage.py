"""The trials in the search space, by pairs of parameters: shows holes and clusters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.analysis.table import SPACE_FILLING
from studies.reporting.csv_table import Row
from studies.reporting.figures import scale
from studies.reporting.figures.paint import BLUE, GREY, ORANGE
from studies.reporting.figures.subject import policy_in_words
from studies.reporting.finding import Drawing, Rows
from studies.text.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

    from studies.analysis.analyse import Analysis
    from studies.analysis.axis import Axis

MAX_PARAMETERS = 6  # those with the largest main effects
PANEL = 1.75  # inches
ENTRY = 1.2  # inches, of the legend
N_BINS = 12
DOT, MANY = 12, 8  # the size of a trial's dot, grown by those at the same place until they are many
SHOWN = (1, 3, MANY)  # trials of the dots in the legend, and the most
GROUPS = {"space-filling": (BLUE, "o"), "adaptive": (ORANGE, "^"), "unknown": (GREY, "s")}  # colour and mark


def coverage(analysis: Analysis) -> Drawing | None:
    """Return the drawing of all trials with a value, or None if no parameter varies.

    In the CSV a trial's `group` tells its proposer: `space-filling` (random, quasi-random, a grid), `adaptive` (a
    sampler that learns, or a person) or `unknown`.
    """
    table = analysis.table
    if not table.axes:
        return None
    axes = _strongest(analysis)
    columns = [scale.cells_of(axis, table.x[:, table.names.index(axis.name)]) for axis in axes]
    rows: list[Row] = [
        {
            "trial": int(table.numbers[k]),
            "group": "space-filling" if table.is_grid else _group(table.sources[k]),
            **{f"params_{axis.name}": column[k] for axis, column in zip(axes, columns, strict=True)},
        }
        for k in range(len(table.y))
    ]
    some = f", the {len(axes)} strongest of {len(table.axes)} parameters" if len(axes) < len(table.axes) else ""
    side = max(3.6, PANEL * len(axes) + 0.7)
    return Drawing(
        name="coverage",
        caption="Where the trials lie, by who proposed them: holes say nothing is known there",
        width=side,
        height=side + 0.5,
        columns=("trial", "group", *(f"params_{axis.name}" for axis in axes)),
        rows=rows,
        draw=lambda figure, drawn: _draw(
            figure,
            drawn,
            axes=axes,
            heading=f"{counted(len(drawn), 'trial', 'trials')} with a value ({policy_in_words(table)}){some}",
        ),
    )


def _strongest(analysis: Analysis) -> list[Axis]:
    estimates = {effect.params[0]: effect.estimate.value for effect in analysis.effects if effect.order == 1}
    strength = {name: -1.0 if math.isnan(estimate) else estimate for name, estimate in estimates.items()}
    order = sorted(analysis.table.axes, key=lambda axis: -strength.get(axis.name, -1.0))
    return [axis for axis in analysis.table.axes if axis in order[:MAX_PARAMETERS]]


def _group(source: str | None) -> str:
    if source is None:
        return "unknown"
    return "space-filling" if source in SPACE_FILLING else "adaptive"


def _draw(figure: Figure, rows: Rows, *, axes: Sequence[Axis], heading: str) -> None:
    n = len(axes)
    panels = figure.subplots(n, n, squeeze=False)
    most = 1
    for i, along_y in enumerate(axes):
        for j, along_x in enumerate(axes):
            panel = panels[i, j]
            if j > i:
                panel.set_visible(False)
            elif i == j:
                _draw_histogram(panel, rows, along_x)
            else:
                most = max(most, _draw_pair(panel, rows, along_x, along_y))
            if j <= i:
                _trim(panel, has_side=j == 0 or i == j, has_bottom=i == n - 1)
    figure.suptitle(textwrap.fill(heading, int(12 * figure.get_figwidth())), fontsize=10, x=0.02, ha="left")
    present, last = {row["group"] for row in rows}, panels[-1, -1]
    groups = [last.scatter([], [], color=c, marker=m, label=g) for g, (c, m) in GROUPS.items() if g in present]
    handles = [*groups, *_sizes(last, most)]
    n_columns = len(handles) if ENTRY * len(handles) <= figure.get_figwidth() else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, fontsize=8.5, frameon=False)


def _sizes(panel: Axes, most: int) -> list[PathCollection]:
    """Return the dots of the legend, for places with up to `most` trials. Empty if no two trials share a place."""
    counts = sorted({*(count for count in SHOWN if count < most), min(most, MANY)}) if most > 1 else []
    words = [f"{MANY} or more" if count == MANY else counted(count, "trial", "at one place") for count in counts]
    return [
        panel.scatter([], [], s=DOT * count, color=GREY, linewidths=0, label=word)
        for count, word in zip(counts, words, strict=True)
    ]


def _draw_pair(panel: Axes, rows: Rows, along_x: Axis, along_y: Axis) -> int:
    """Draw one pair of parameters. Return the largest number of trials at one place."""
    most = 0
    for group, (colour, mark) in GROUPS.items():
        x, y = _places(rows, along_x, group), _places(rows, along_y, group)
        if len(x):
            places, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
            most = max(most, int(counts.max()))
            sizes = DOT * np.minimum(counts, MANY)
            panel.scatter(places[:, 0], places[:, 1], s=sizes, color=colour, marker=mark, alpha=0.5, linewidths=0)
    scale.dress(panel, "x", along_x, is_small=True)
    scale.dress(panel, "y", along_y, is_small=True)
    return most


def _draw_histogram(panel: Axes, rows: Rows, axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    groups = [group for group in GROUPS if len(_places(rows, axis, group))]
    panel.hist(
        [_places(rows, axis, group) for group in groups],
        bins=[float(edge) for edge in scale.edges(axis, N_BINS)],
        stacked=True,
        color=[GROUPS[group][0] for group in groups],
    )
    scale.dress(panel, "x", axis, is_small=True)
    panel.set_ylabel("trials")
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    panel.yaxis.tick_right()
    panel.yaxis.set_label_position("right")


def _places(rows: Rows, axis: Axis, group: str) -> np.typing.NDArray[np.float64]:
    return scale.places_of(axis, [row[f"params_{axis.name}"] for row in rows if row["group"] == group])


def _trim(panel: Axes, *, has_side: bool, has_bottom: bool) -> None:
    """Keep names and numbers at the outer panels only."""
    if not has_side:
        panel.set_ylabel("")
        panel.tick_params(axis="y", which="both", labelleft=False)
    if not has_bottom:
        panel.set_xlabel("")
        panel.tick_params(axis="x", which="both", labelbottom=False)
    panel.tick_params(which="both", labelsize=7.5)
