"""The section of a sampler benchmark: pairwise comparisons, numbers as CSV, and the curves of each problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from studies.analysis.estimate import Estimate
from studies.analysis.levels import SIGNIFICANCE
from studies.reporting.csv_table import Row, csv_text
from studies.reporting.finding import Block, Drawing, File, Finding, Heading, Paragraph, Table
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text
from studies.sampler_benchmark.comparisons import PairwiseComparison, comparisons
from studies.sampler_benchmark.curves import TimeToTarget, curves, times_to_target
from studies.sampler_benchmark.figure import COLUMNS, best_so_far, curve_rows
from studies.sampler_benchmark.runs import (
    MEASURES,
    BenchmarkRun,
    Measure,
    base,
    is_benchmark,
    problems_of,
    runs_of,
    runs_on,
    samplers_of,
)
from studies.sampler_benchmark.sentences import amount, chance, headline, regret, sentences
from studies.text.wording import NONE, p_value

TITLE, FOLDER = "Samplers compared", "sampler_benchmark"
OF_COMPARISONS, OF_TIMES, OF_CURVES = (f"{FOLDER}/{name}.csv" for name in ("comparisons", "times_to_target", "curves"))
FILES = (OF_COMPARISONS, OF_TIMES, OF_CURVES, f"{FOLDER}/best_so_far_*.png", f"{FOLDER}/best_so_far_*.csv")
COMPARISONS = ("problem", "a", "b", "at", "n", "chance", "chance_lo", "chance_hi", "gain", "gain_lo", "gain_hi", "p")
TIMES = ("problem", "sampler", "measure", "n", "reached", "median", "median_lo", "median_hi", "restricted", "budget")
HEADINGS = {"sampler": "entrant"}  # columns of the CSV with another name than the field
HOW = """Each search is run by this framework's own sampler on one problem, under one seed. Its regret is that of the
configuration that it would hand over (the best value that it saw), judged by the true value: without noise, or the mean
over all recorded seeds. A regret of 0 is the best point, 1 the median random point. Within 1 % of the best: on a
recorded table 1 % of the best value, on a function a hundredth of the way to the median random point. Error bars in the
figures are bootstrap intervals over seeds (95 %); chances are those of a smaller regret under the same seed on the same
problem, ties counting half, each with a Wilson interval of its own (95 %), and p is that of the sign test after Holm's
correction over all pairwise comparisons, which decides. Problems differ in scale, so by how much is told for each
problem, where p decides it there, with the interval that the same corrected test gives. Seconds are CPU seconds of the
sampler and recorded seconds of training. A grid is a full factorial coarsened to the budget, in random order."""


def compute(view: StudyView) -> Finding | None:
    """Return what the searches of a benchmark have shown. None for other studies."""
    if view.settings is None or not is_benchmark(view.settings.template):
        return None
    runs = runs_of(view.ended, view.settings.space, view.settings.template)
    if not runs:
        return Finding(TITLE, headline=("No search is finished yet.",))
    pairs, times = comparisons(runs), times_to_target(runs, seed=view.seed)
    return Finding(
        TITLE,
        headline=(headline(pairs), *sentences(runs, pairs, times)),
        blocks=(
            Paragraph(HOW.replace("\n", " ")),
            *_drawings(runs, seed=view.seed),
            *(block for problem in problems_of(runs) for block in _standings(problem, runs, times)),
            *_comparisons(pairs),
            *_files(runs, pairs, times, seed=view.seed),
        ),
    )


def _files(
    runs: Sequence[BenchmarkRun], pairs: Sequence[PairwiseComparison], times: Sequence[TimeToTarget], *, seed: int
) -> Iterator[File]:
    headings = [HEADINGS.get(name, name) for name in TIMES]
    yield File("comparisons", OF_COMPARISONS, csv_text(COMPARISONS, [_row(pair, COMPARISONS) for pair in pairs]))
    yield File("times to target", OF_TIMES, csv_text(headings, [_row(time, TIMES) for time in times]))
    yield File("curves", OF_CURVES, csv_text(("problem", "measure", *COLUMNS), _curves(runs, seed=seed)))


def _row(found: PairwiseComparison | TimeToTarget, columns: Sequence[str]) -> Row:
    cells = {HEADINGS.get(column, column): _cell(found, column) for column in columns}
    return {
        column: None if isinstance(cell, float) and not np.isfinite(cell) else cell for column, cell in cells.items()
    }


def _cell(found: PairwiseComparison | TimeToTarget, column: str) -> Any:
    """Return the value of a column: a field, or an end of the interval of one."""
    name, _, end = column.rpartition("_")
    if end in ("lo", "hi"):
        return getattr(getattr(found, name), end)
    value = getattr(found, column)
    return value.value if isinstance(value, Estimate) else value


def _curves(runs: Sequence[BenchmarkRun], *, seed: int) -> Iterator[Row]:
    for problem in problems_of(runs):
        own = runs_on(runs, problem)
        for measure in _measures(own):
            for row in curve_rows(curves(own, measure, seed=seed)):
                yield {"problem": problem, "measure": measure, **row}


def _drawings(runs: Sequence[BenchmarkRun], *, seed: int) -> Iterator[Drawing]:
    """Yield a figure for each problem and measure, of the searches without a pruner.

    By epochs it shows the pruned searches instead, beside the unpruned ones of the same samplers.
    """
    for problem in problems_of(runs):
        own = runs_on(runs, problem)
        pruned = {base(run.sampler) for run in own if run.sampler != base(run.sampler)}
        for measure in _measures(own):
            by_epochs = measure == "epochs" and pruned
            shown = [
                run for run in own if (base(run.sampler) in pruned if by_epochs else run.sampler == base(run.sampler))
            ]
            yield best_so_far(curves(shown or own, measure, seed=seed), near=own[0].near)


def _measures(own: Sequence[BenchmarkRun]) -> tuple[Measure, ...]:
    """Return the measures of a problem. Only trainings with rungs are measured by epochs and seconds."""
    trained = any(run.epochs[-1] > len(run.regret) for run in own)
    return MEASURES if trained else ("trials",)


def _standings(problem: str, runs: Sequence[BenchmarkRun], times: Sequence[TimeToTarget]) -> Iterator[Block]:
    """Yield a table of samplers: regret at the end, times to target, and the sampler's own time."""
    own = runs_on(runs, problem)
    measures = _measures(own)
    rows = []
    for sampler in samplers_of(own):
        searches = [run for run in own if run.sampler == sampler]
        ends = np.array([run.regret[-1] for run in searches])
        first, median, third = (float(value) for value in np.percentile(ends, [25, 50, 75]))
        near = {time.measure: time for time in times if (time.problem, time.sampler) == (problem, sampler)}
        per_trial = np.mean([1000 * run.sampler_s / len(run.regret) for run in searches])
        rows.append(
            (
                sampler,
                f"{regret(median)} ({regret(first)} to {regret(third)})",
                regret(median * own[0].unit),
                *(amount(near[measure].median.value, budget=near[measure].budget) for measure in measures),
                f"{near['trials'].reached} of {near['trials'].n}",
                f"{per_trial:.1f}",
            )
        )
    header = ("sampler", "median regret (quartiles)", "in the value's unit", *(f"{m} to 1 %" for m in measures))
    yield Heading(problem)
    yield Table((*header, "came there", "sampler, ms a trial"), tuple(rows))


def _comparisons(met: Sequence[PairwiseComparison]) -> Iterator[Block]:
    """Yield a table of all problems together, or of the only one. Gains of several problems differ in scale."""
    every = [pair for pair in met if pair.problem is None]
    rows = tuple(
        (
            pair.a,
            pair.b,
            str(pair.at),
            chance(pair),
            *([] if every else [_gain(pair)]),
            p_value(pair.p),
            str(pair.n),
        )
        for pair in every or met
    )
    by = () if every else ("by (median)",)
    header = ("a", "b", "after trials", "a has the smaller regret", *by, "p (Holm)", "n")
    over = "All problems together, for those who met them all." if every else "The only problem."
    yield Heading("Who beats whom")
    yield Table(header, rows, f"{over} Each problem by itself is in {OF_COMPARISONS}.")


def _gain(pair: PairwiseComparison) -> str:
    """Return the gain of a decided pair, else a dash."""
    is_told = pair.p < SIGNIFICANCE
    return estimate_text(pair.gain, ".3g") if is_told else NONE
