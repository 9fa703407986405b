"""The page of a hypothesis, `hypothesis.md`: its verdict, what the verdict rests on, and what was held fixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from studies.hypotheses.conclusion import Conclusion, PartTrials
from studies.hypotheses.figures import regret_drawing, verdict_drawing
from studies.hypotheses.held_fixed import held_fixed
from studies.reporting.csv_table import Row, write_csv
from studies.reporting.figures.drawing import write_drawing
from studies.reporting.wording import estimate_text, interval_text, plain, table
from studies.text.printable import write_page

PAGE, TABLE, FIGURES = "hypothesis.md", "hypothesis.csv", ("verdict", "regret", "regret_*")
COLUMNS = ("part", "verdict", "gain", "ci_lo", "ci_hi", "boundary", "unit", "n", "more_trials", "what")


def remove_hypothesis(folder: Path) -> None:
    """Remove what an earlier conclusion left in `folder`."""
    figures = [path for name in FIGURES for path in (folder / "figures").glob(f"{name}.*")]
    for path in (folder / PAGE, folder / TABLE, *figures):
        path.unlink(missing_ok=True)


def write_hypothesis(folder: Path, found: Conclusion, parts: Sequence[PartTrials], *, console: Console) -> None:
    """Write hypothesis.md, hypothesis.csv and the figures into `folder`; print the verdict."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_hypothesis(folder)
    write_csv(folder / TABLE, COLUMNS, list(_rows(found)))
    pictures = []
    if found.tests:
        pictures.append(
            write_drawing(folder / "figures", verdict_drawing(found.tests, claim=found.claim, word=found.word))
        )
    for name, matrix in found.matrices.items():
        metric = next(part.settings.objective.metric for part in parts if part.name == name)
        drawing = regret_drawing(matrix, metric=metric, part=name if len(found.matrices) > 1 else "")
        pictures.append(write_drawing(folder / "figures", drawing))
    page = folder / PAGE
    write_page(page, _page(found, parts, [picture.relative_to(folder) for picture in pictures]))
    console.print("\n".join([found.sentence, *_sentences(found), f"  hypothesis: {page}"]), markup=False)


def _rows(found: Conclusion) -> Iterator[Row]:
    for name, test in found.tests.items():
        gain = test.gain
        yield {
            "part": name,
            "verdict": test.word,
            "gain": gain.value,
            "ci_lo": gain.lo,
            "ci_hi": gain.hi,
            "boundary": test.boundary,
            "unit": test.unit,
            "n": gain.n,
            "more_trials": found.more_trials.get(name),
            "what": test.what,
        }
    for name, why in found.missing.items():
        yield {"part": name, "verdict": "undecided", "what": why}


def _sentences(found: Conclusion) -> Iterator[str]:
    for name, test in found.tests.items():
        told = " ".join(filter(None, [str(test), found.remedies.get(name)]))
        yield f"{name + ': ' if name else ''}{test.word}: {told}"
    for name, why in found.missing.items():
        yield f"{name or 'undecided'}: {why}."
    yield from found.beside


def _shortly(found: Conclusion) -> str:
    """The gains that decide, in numbers alone."""
    told = []
    for name, test in found.tests.items():
        gain, part = test.gain, f"{name.replace('_', ' ')}: " if name and len(found.tests) > 1 else ""
        needs = f"needs {test.boundary:+g} ({test.unit}, n = {gain.n})"
        told.append(f"{part}{estimate_text(gain, signed=True)}, {needs}")
    return "; ".join(told) + "." if told else ""


def _page(found: Conclusion, parts: Sequence[PartTrials], pictures: Sequence[Path]) -> str:
    rule = (
        "Supported: the whole 95 % interval lies at or above the boundary; contradicted: all of it lies below; "
        "undecided: it holds the boundary. "
    )
    if found.changed:
        rule += f"**The rule of {', '.join(found.changed)} was changed after the first trial.**"
    else:
        rule += "The rule is the one that was recorded with the study before its first trial."
    why = " ".join(f"{name + ': ' if name else ''}{reason}." for name, reason in found.missing.items())
    told = " ".join(
        filter(None, [f"**{found.word.capitalize()}** on this task.", found.combined, _shortly(found), why])
    )
    blocks = [f"# {plain(found.claim)}", told, rule]
    blocks.append("\n".join(f"- {sentence}" for sentence in _sentences(found)))
    rows = [
        (
            name or "–",
            test.word,
            f"{test.gain.value:.4f}",
            interval_text(test.gain),
            f"{test.boundary:g}",
            str(test.gain.n),
        )
        for name, test in found.tests.items()
    ]
    if rows:
        blocks.append(table(("part", "verdict", "gain", "95 % interval", "boundary", "n"), rows))
    blocks += [f"![{picture.stem}]({picture.as_posix()})" for picture in pictures]
    blocks += ["## Held fixed", *held_fixed({part.name: part.settings for part in parts})]
    return "\n\n".join(blocks) + "\n"
