"""What a race leaves behind: `race.md` with its findings, the numbers as CSV, and figures drawn from theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from optuna.trial import FrozenTrial

from studies.analysis.best_so_far import (
    MEASURES,
    Duel,
    Measure,
    Played,
    Reach,
    base,
    curves,
    duels,
    entrants_of,
    problems_of,
    reaches,
)
from studies.config.settings import StudySettings
from studies.reporting.csv_table import Row, write_csv
from studies.reporting.figures.best_so_far import COLUMNS, best_so_far, curve_rows
from studies.reporting.figures.drawing import Drawing, write_drawings
from studies.reporting.race_searches import searches_of
from studies.reporting.race_words import SURE, amount, chance, headline, regret, sentences
from studies.reporting.wording import plain, table
from studies.text.printable import write_page
from studies.text.wording import NONE, p_value

FOLDER, PAGE = "race", "race.md"
TABLES = ("duels.csv", "reach.csv", "curves.csv")
DUELS = ("problem", "a", "b", "at", "n", "chance", "chance_lo", "chance_hi", "gain", "gain_lo", "gain_hi", "p")
REACHES = ("problem", "entrant", "measure", "n", "reached", "median", "median_lo", "median_hi", "restricted", "budget")
HOW = """Each search is played by this framework's own sampler on one problem, under one seed. Its regret is that of the
configuration that it would hand over (the best value that it saw), judged by the true value: without noise, or the mean
over all recorded seeds. A regret of 0 is the best point, 1 the median random point. Within 1 % of the best: on a
recorded table 1 % of the best value, on a function a hundredth of the way to the median random point. Error bars in the
figures are bootstrap intervals over seeds (95 %); chances are those of a smaller regret under the same seed on the same
problem, ties counting half, each with a Wilson interval of its own (95 %), and p is that of the sign test after Holm's
correction over all duels, which decides. Problems differ in scale, so by how much is told for each problem, where p
decides it there, with the interval that the same corrected test gives. Seconds are CPU seconds of the sampler and
recorded seconds of training. A grid is a full factorial coarsened to the budget, in random order."""


@dataclass(frozen=True, slots=True)
class Race:
    """What was written: sentences, and label → path."""

    sentences: Sequence[str]
    files: Mapping[str, str]

    @property
    def conclusion(self) -> str:
        """What a report's headline says of it."""
        return "each is a whole search; race.md compares them." if self.files else "no search has come to its end yet."


def write_race(trials: Sequence[FrozenTrial], settings: StudySettings) -> Race:
    """Write the race's files into the output folder. Where no search has come to its end there is nothing to write."""
    searches = searches_of(trials, settings)
    folder = settings.output_dir
    if not searches:
        return Race([], {})
    met, came = duels(searches), reaches(searches, seed=settings.seed)
    inner = folder / FOLDER
    inner.mkdir(parents=True, exist_ok=True)
    write_csv(inner / "duels.csv", DUELS, [_row(duel, DUELS) for duel in met])
    write_csv(inner / "reach.csv", REACHES, [_row(reach, REACHES) for reach in came])
    write_csv(inner / "curves.csv", ("problem", "measure", *COLUMNS), _curves(searches, seed=settings.seed))
    pictures = write_drawings(inner, _drawings(searches, seed=settings.seed))
    found = sentences(searches, met, came)
    document = folder / PAGE
    write_page(document, _document(settings, searches, met, came, found, pictures))
    files = {"race": str(document), "race's tables and figures": str(inner)}
    return Race(found, files)


def remove_race(folder: Path) -> None:
    """Remove what an earlier race left in `folder`."""
    (folder / PAGE).unlink(missing_ok=True)
    for name in TABLES:
        (folder / FOLDER / name).unlink(missing_ok=True)
    write_drawings(folder / FOLDER, [])


def _row(found: Duel | Reach, columns: Sequence[str]) -> Row:
    cells = {column: getattr(found, column) for column in columns}
    return {
        column: None if isinstance(cell, float) and not np.isfinite(cell) else cell for column, cell in cells.items()
    }


def _curves(searches: Sequence[Played], *, seed: int) -> Iterator[Row]:
    for problem in problems_of(searches):
        own = [search for search in searches if search.problem == problem]
        for measure in _measures(own):
            for row in curve_rows(curves(own, measure, seed=seed)):
                yield {"problem": problem, "measure": measure, **row}


def _drawings(searches: Sequence[Played], *, seed: int) -> Iterator[Drawing]:
    """One figure a problem and measure; by epochs of those that were pruned and what they are compared with, else of
    all that were not pruned."""
    for problem in problems_of(searches):
        own = [search for search in searches if search.problem == problem]
        pruned = {base(search.entrant) for search in own if search.entrant != base(search.entrant)}
        for measure in _measures(own):
            by_epochs = measure == "epochs" and pruned
            shown = [s for s in own if (base(s.entrant) in pruned if by_epochs else s.entrant == base(s.entrant))]
            yield best_so_far(curves(shown or own, measure, seed=seed), near=own[0].near)


def _measures(own: Sequence[Played]) -> tuple[Measure, ...]:
    """What the searches of a problem are measured by: epochs and seconds where a trial is a training with rungs."""
    trained = any(search.epochs[-1] > len(search.regret) for search in own)
    return MEASURES if trained else ("trials",)


def _document(
    settings: StudySettings,
    searches: Sequence[Played],
    met: Sequence[Duel],
    came: Sequence[Reach],
    found: Sequence[str],
    pictures: Mapping[str, Path],
) -> str:
    folder = settings.output_dir
    parts = [f"# Race {plain(settings.study_name)}: ways to search compared", headline(met), HOW.replace("\n", " ")]
    parts += ["## Findings", "\n".join(f"- {sentence}" for sentence in found)]
    parts += [f"![{plain(caption)}]({path.relative_to(folder)})" for caption, path in pictures.items()]
    for problem in problems_of(searches):
        own = [search for search in searches if search.problem == problem]
        parts += [f"## {problem}", _standings(own, [r for r in came if r.problem == problem])]
    parts += ["## Who beats whom", _duels(met)]
    return "\n\n".join(parts) + "\n"


def _standings(own: Sequence[Played], came: Sequence[Reach]) -> str:
    """One row an entrant: the regret at the end, what it took to come near, and what the sampler itself takes."""
    measures = _measures(own)
    rows = []
    for entrant in entrants_of(own):
        searches = [search for search in own if search.entrant == entrant]
        ends = np.array([search.regret[-1] for search in searches])
        first, median, third = (float(value) for value in np.percentile(ends, [25, 50, 75]))
        near = {reach.measure: reach for reach in came if reach.entrant == entrant}
        per_trial = np.mean([1000 * search.sampler_s / len(search.regret) for search in searches])
        rows.append(
            (
                entrant,
                f"{regret(median)} ({regret(first)} to {regret(third)})",
                regret(median * own[0].unit),
                *(amount(near[measure].median, budget=near[measure].budget) for measure in measures),
                f"{near['trials'].reached} of {near['trials'].n}",
                f"{per_trial:.1f}",
            )
        )
    header = ("entrant", "median regret (quartiles)", "in the value's unit", *(f"{m} to 1 %" for m in measures))
    return table((*header, "came there", "sampler, ms a trial"), rows)


def _duels(met: Sequence[Duel]) -> str:
    """All problems together in one table, without gains, for these differ in scale; else the only problem's."""
    every = [duel for duel in met if duel.problem is None]
    rows = [
        (duel.a, duel.b, str(duel.at), chance(duel), *([] if every else [_gain(duel)]), p_value(duel.p), str(duel.n))
        for duel in every or met
    ]
    by = () if every else ("by (median)",)
    header = ("a", "b", "after trials", "a has the smaller regret", *by, "p (Holm)", "n")
    over = "All problems together, for those who met them all; each problem by itself is in `race/duels.csv`."
    return f"{over}\n\n{table(header, rows)}"


def _gain(duel: Duel) -> str:
    """By how much, where that is decided."""
    is_told = duel.p < SURE
    return f"{regret(duel.gain)} [{regret(duel.gain_lo)}, {regret(duel.gain_hi)}]" if is_told else NONE
