"""What a sampler benchmark leaves behind: `sampler_benchmark.md`, its numbers as CSV, and figures drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from studies.analysis.estimate import Estimate
from studies.analysis.levels import SIGNIFICANCE
from studies.config.settings import StudySettings
from studies.reporting.csv_table import Row, write_csv
from studies.reporting.figures.drawing import Drawing, write_drawings
from studies.reporting.wording import estimate_text, plain, table
from studies.sampler_benchmark.comparisons import PairwiseComparison, comparisons
from studies.sampler_benchmark.curves import curves
from studies.sampler_benchmark.figure import COLUMNS, best_so_far, curve_rows
from studies.sampler_benchmark.runs import MEASURES, BenchmarkRun, Measure, base, problems_of, runs_on, samplers_of
from studies.sampler_benchmark.sentences import amount, chance, headline, regret, sentences
from studies.sampler_benchmark.stored_runs import runs_of
from studies.sampler_benchmark.times_to_target import TimeToTarget, times_to_target
from studies.text.printable import write_page
from studies.text.wording import NONE, p_value

FOLDER, PAGE = "sampler_benchmark", "sampler_benchmark.md"
OF_COMPARISONS, OF_TIMES, OF_CURVES = TABLES = ("comparisons.csv", "times_to_target.csv", "curves.csv")
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


@dataclass(frozen=True, slots=True)
class BenchmarkPage:
    """What was written: sentences, and label → path."""

    sentences: Sequence[str]
    files: Mapping[str, str]

    @property
    def conclusion(self) -> str:
        """What a report's headline says of it."""
        return f"each is a whole search; {PAGE} compares them." if self.files else "no search has come to its end yet."


def write_benchmark(trials: Sequence[FrozenTrial], settings: StudySettings) -> BenchmarkPage:
    """Write the files of the benchmark into the output folder, and nothing before a search has come to its end."""
    runs = runs_of(trials, settings)
    folder = settings.output_dir
    if not runs:
        return BenchmarkPage([], {})
    met, came = comparisons(runs), times_to_target(runs, seed=settings.seed)
    inner = folder / FOLDER
    inner.mkdir(parents=True, exist_ok=True)
    write_csv(inner / OF_COMPARISONS, COMPARISONS, [_row(pair, COMPARISONS) for pair in met])
    write_csv(inner / OF_TIMES, [HEADINGS.get(name, name) for name in TIMES], [_row(time, TIMES) for time in came])
    write_csv(inner / OF_CURVES, ("problem", "measure", *COLUMNS), _curves(runs, seed=settings.seed))
    pictures = write_drawings(inner, _drawings(runs, seed=settings.seed))
    found = sentences(runs, met, came)
    document = folder / PAGE
    write_page(document, _document(settings, runs, met, came, found, pictures))
    files = {"sampler benchmark": str(document), "sampler benchmark's tables and figures": str(inner)}
    return BenchmarkPage(found, files)


def remove_benchmark(folder: Path) -> None:
    """Remove what an earlier benchmark left in `folder`."""
    (folder / PAGE).unlink(missing_ok=True)
    for name in TABLES:
        (folder / FOLDER / name).unlink(missing_ok=True)
    write_drawings(folder / FOLDER, [])


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
    """One figure a problem and measure; by epochs of those that were pruned and what they are compared with, else of
    all that were not pruned."""
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
    """What the searches of a problem are measured by: epochs and seconds where a trial is a training with rungs."""
    trained = any(run.epochs[-1] > len(run.regret) for run in own)
    return MEASURES if trained else ("trials",)


def _document(
    settings: StudySettings,
    runs: Sequence[BenchmarkRun],
    met: Sequence[PairwiseComparison],
    came: Sequence[TimeToTarget],
    found: Sequence[str],
    pictures: Mapping[str, Path],
) -> str:
    folder = settings.output_dir
    parts = [f"# Sampler benchmark {plain(settings.study_name)}", headline(met), HOW.replace("\n", " ")]
    parts += ["## Findings", "\n".join(f"- {sentence}" for sentence in found)]
    parts += [f"![{plain(caption)}]({path.relative_to(folder)})" for caption, path in pictures.items()]
    for problem in problems_of(runs):
        own = runs_on(runs, problem)
        parts += [f"## {problem}", _standings(own, [r for r in came if r.problem == problem])]
    parts += ["## Who beats whom", _comparisons(met)]
    return "\n\n".join(parts) + "\n"


def _standings(own: Sequence[BenchmarkRun], came: Sequence[TimeToTarget]) -> str:
    """Return one row a sampler: the regret at the end, what it took to come near, and what the sampler itself takes."""
    measures = _measures(own)
    rows = []
    for sampler in samplers_of(own):
        runs = [run for run in own if run.sampler == sampler]
        ends = np.array([run.regret[-1] for run in runs])
        first, median, third = (float(value) for value in np.percentile(ends, [25, 50, 75]))
        near = {time.measure: time for time in came if time.sampler == sampler}
        per_trial = np.mean([1000 * run.sampler_s / len(run.regret) for run in runs])
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
    return table((*header, "came there", "sampler, ms a trial"), rows)


def _comparisons(met: Sequence[PairwiseComparison]) -> str:
    """All problems together in one table, without gains, for these differ in scale; else the only problem's."""
    every = [pair for pair in met if pair.problem is None]
    rows = [
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
    ]
    by = () if every else ("by (median)",)
    header = ("a", "b", "after trials", "a has the smaller regret", *by, "p (Holm)", "n")
    over = (
        f"All problems together, for those who met them all; each problem by itself is in `{FOLDER}/{OF_COMPARISONS}`."
    )
    return f"{over}\n\n{table(header, rows)}"


def _gain(pair: PairwiseComparison) -> str:
    """By how much, where that is decided."""
    is_told = pair.p < SIGNIFICANCE
    return estimate_text(pair.gain, ".3g") if is_told else NONE
