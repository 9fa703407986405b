"""The figures of a hypothesis: each part's gain beside its boundary, and the regret of borrowed settings."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from studies.hypotheses.regret import RegretMatrix
from studies.hypotheses.rule import HypothesisTest, Word
from studies.reporting.csv_table import Row, estimate_cells
from studies.reporting.figures.paint import BLUE, GREY, ORANGE, RED, numbers
from studies.reporting.figures.subject import WIDE, plain
from studies.reporting.finding import Drawing, Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"supported": BLUE, "contradicted": RED, "undecided": ORANGE}
WIDTH, PART = 7.4, 0.7  # inches
BOUNDARY = "boundary: the least gain that supports the claim"
BAR = 0.6  # inches, of the colours beside a matrix


def verdict_drawing(tests: Mapping[str, HypothesisTest], *, claim: str, word: Word) -> Drawing:
    """Return the drawing with a line for each part. A gain right of its boundary supports the claim."""
    heading = "\n".join(textwrap.wrap(f"{claim}: {word}", int(WIDE * WIDTH)))
    unit = ", ".join(dict.fromkeys(test.unit for test in tests.values()))
    rows: list[Row] = [
        {
            "part": name,
            **estimate_cells("gain", test.gain),
            "boundary": test.boundary,
            "verdict": test.word,
        }
        for name, test in tests.items()
    ]
    return Drawing(
        name="verdict",
        caption=f"{claim}: gain with 95 % interval; the claim needs it right of the dashed boundary",
        width=WIDTH,
        height=1.9 + PART * len(rows),
        columns=("part", "gain", "ci_lo", "ci_hi", "boundary", "verdict"),
        rows=rows,
        draw=lambda figure, drawn: _draw_verdict(figure, drawn, heading=heading, unit=unit),
    )


def _draw_verdict(figure: Figure, rows: Rows, *, heading: str, unit: str) -> None:
    axes = figure.add_subplot()
    gain, lo, hi, boundary = (numbers(rows, column) for column in ("gain", "ci_lo", "ci_hi", "boundary"))
    for k, row in enumerate(rows):
        colour = COLOURS[str(row["verdict"])]
        axes.errorbar(gain[k], k, xerr=[[gain[k] - lo[k]], [hi[k] - gain[k]]], fmt="o", color=colour, capsize=4)
        axes.plot([boundary[k]] * 2, [k - 0.35, k + 0.35], color=GREY, linestyle="--", label="" if k else BOUNDARY)
    axes.set_yticks(range(len(rows)), [f"{row['part'] or 'measured'}\n{row['verdict']}" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(plain(f"contradicts  ←  gain ({unit})  →  supports"))
    axes.set_title(plain(heading), fontsize=10, loc="left")
    axes.grid(color=GREY, alpha=0.15, axis="x")
    figure.legend(loc="outside lower right", fontsize=8, frameon=False)


def regret_drawing(matrix: RegretMatrix, *, metric: str, part: str = "") -> Drawing:
    """Return the drawing of the loss on one task with the setting of another. `part` names one of several parts."""
    rows: list[Row] = []
    for source in matrix.tasks:
        for target in matrix.tasks:
            found = matrix.regret.get((source, target))
            rows.append(
                {
                    "tuned_on": source,
                    "used_on": target,
                    "regret": 0.0 if found is None else found.value,
                    "ci_lo": None if found is None else found.lo,
                    "ci_hi": None if found is None else found.hi,
                }
            )
    return Drawing(
        name=f"regret_{part}" if part else "regret",
        caption=f"{metric} lost on a task (column) with the setting of another (row); 95 % intervals, for all together",
        width=1.5 + 1.3 * len(matrix.tasks) + BAR,
        height=1.2 + 0.9 * len(matrix.tasks),
        columns=("tuned_on", "used_on", "regret", "ci_lo", "ci_hi"),
        rows=rows,
        draw=lambda figure, drawn: _draw_regret(figure, drawn, metric=metric),
    )


def _draw_regret(figure: Figure, rows: Rows, *, metric: str) -> None:
    axes = figure.add_subplot()
    tasks = list(dict.fromkeys(str(row["tuned_on"]) for row in rows))
    n = len(tasks)
    values = numbers(rows, "regret").reshape(n, n)
    image = axes.imshow(values, cmap="Oranges", vmin=0.0, vmax=max(0.01, float(values.max()) * 1.4))
    for k, row in enumerate(rows):
        ends = "" if row["ci_lo"] is None else f"\n[{row['ci_lo']:.3f}, {row['ci_hi']:.3f}]"
        words = "its own" if k % n == k // n else f"{values[k // n, k % n]:.3f}{ends}"
        axes.text(k % n, k // n, words, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(n), tasks)
    axes.set_yticks(range(n), tasks)
    axes.set_xlabel("used on")
    axes.set_ylabel("tuned on")
    axes.set_title("lost by another task's setting, 95 % intervals", fontsize=10, loc="left")
    figure.colorbar(image, ax=axes, shrink=0.8).set_label(plain(f"{metric} lost"))
