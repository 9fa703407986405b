"""The page of a hypothesis, `hypothesis.md`: its verdict, the numbers behind it, and the fixed settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from studies.analysis.levels import MOST_MORE_SEEDS
from studies.hypotheses.conclusion import Conclusion, PartTrials
from studies.hypotheses.figures import regret_drawing, verdict_drawing
from studies.reporting.csv_table import Row, csv_text
from studies.reporting.finding import Block, Drawing, File, Finding, Paragraph, Table, bullets
from studies.reporting.renderers import markdown
from studies.reporting.report import write_findings
from studies.reporting.wording import estimate_text, interval_text
from studies.reporting.writer import Writer
from studies.storage.identity import fixed_config
from studies.text.wording import NONE, roughly

PAGE, TABLE = "hypothesis.md", "hypothesis.csv"
FILES = (PAGE, TABLE, *(f"figures/{name}.{ending}" for name in ("verdict", "regret*") for ending in ("png", "csv")))
NOT_SHOWN = ("_convert_", "_partial_", "data_dir", "eval_batch_size", "fused", "eps")  # of what was held fixed
COLUMNS = ("part", "verdict", "gain", "ci_lo", "ci_hi", "boundary", "unit", "n", "more_seeds", "more_trials", "what")
RULE = (
    "Supported: the whole 95 % interval lies at or above the boundary. Contradicted: all of it lies below. Undecided: "
    "it holds the boundary."
)


def remove_hypothesis(folder: Path) -> None:
    """Remove the files of an earlier conclusion from `folder`."""
    if folder.is_dir():
        Writer(folder, patterns=FILES).write({}, {})


def write_hypothesis(folder: Path, found: Conclusion, parts: Sequence[PartTrials], *, console: Console) -> None:
    """Write hypothesis.md, hypothesis.csv and the figures into `folder`. Print the verdict."""
    findings = [_verdict(found, parts), Finding("Held fixed", blocks=tuple(_held_fixed(parts)))]
    told = [replace(finding, headline=()) for finding in findings]  # the page's first paragraph says it
    write_findings(Writer(folder, patterns=FILES), told, title=found.claim, pages={PAGE: markdown.report})
    console.print("\n".join([*findings[0].headline, f"  hypothesis: {folder / PAGE}"]), markup=False)


def _verdict(found: Conclusion, parts: Sequence[PartTrials]) -> Finding:
    """Return the verdict and the numbers behind it."""
    why = " ".join(f"{name + ': ' if name else ''}{reason}." for name, reason in found.missing.items())
    told = " ".join(filter(None, [" on this task.", found.combined, _shortly(found), why]))
    return Finding(
        "",
        "ok" if found.word != "undecided" else "caution",
        (found.sentence, *_sentences(found)),
        (
            Paragraph(told, lead=found.word.capitalize()),
            *_rule(found),
            *bullets(list(_sentences(found))),
            *_table(found),
            *_drawings(found, parts),
            File("numbers", TABLE, csv_text(COLUMNS, _rows(found))),
        ),
    )


def _rule(found: Conclusion) -> Iterator[Block]:
    if found.changed:
        yield Paragraph(RULE)
        yield Paragraph(" was changed after the first trial.", lead=f"The rule of {', '.join(found.changed)}")
    else:
        yield Paragraph(f"{RULE} The rule is the one that was recorded with the study before its first trial.")


def _table(found: Conclusion) -> Iterator[Block]:
    rows = tuple(
        (
            name or NONE,
            test.word,
            f"{test.gain.value:.4f}",
            interval_text(test.gain),
            f"{test.boundary:g}",
            str(test.gain.n),
        )
        for name, test in found.tests.items()
    )
    if rows:
        yield Table(("part", "verdict", "gain", "95 % interval", "boundary", "n"), rows)


def _drawings(found: Conclusion, parts: Sequence[PartTrials]) -> Iterator[Drawing]:
    if found.tests:
        yield verdict_drawing(found.tests, claim=found.claim, word=found.word)
    for name, matrix in found.matrices.items():
        metric = next(part.settings.objective.metric for part in parts if part.name == name)
        yield regret_drawing(matrix, metric=metric, part=name if len(found.matrices) > 1 else "")


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
            "more_seeds": found.more_seeds.get(name),
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
    """Return the deciding gains, in numbers alone."""
    told = []
    for name, test in found.tests.items():
        gain, part = test.gain, f"{name.replace('_', ' ')}: " if name and len(found.tests) > 1 else ""
        needs = f"needs {test.boundary:+g} ({test.unit}, n = {gain.n})"
        seeds = found.more_seeds.get(name)
        more = f", {roughly(seeds, most=MOST_MORE_SEEDS)} more seeds would decide it" if seeds is not None else ""
        told.append(f"{part}{estimate_text(gain, signed=True)}, {needs}{more}")
    return "; ".join(told) + "." if told else ""


def _held_fixed(parts: Sequence[PartTrials]) -> Iterator[Block]:
    """Yield a table of the fixed settings in which parts differ, and one of the common ones."""
    each = [_held(part) for part in parts]
    keys = list(dict.fromkeys(key for held in each for key in held))
    values = {key: [held.get(key, NONE) for held in each] for key in keys}
    common = [(key, found[0]) for key, found in values.items() if len(set(found)) == 1]
    apart = [(key, *found) for key, found in values.items() if len(set(found)) > 1]
    if apart:
        yield Table(("setting", *(part.name for part in parts)), tuple(apart))
        yield Paragraph("In all parts:")
    yield Table(("setting", "value"), tuple(common))


def _held(part: PartTrials) -> dict[str, str]:
    """Return the settings of model, data and budget that no parameter varied."""
    settings = part.settings
    varied = [path for parameter in settings.space for path in parameter.paths]
    config = fixed_config(settings.template)
    flat = [*_flat(config.get("model"), "model"), *_flat(config.get("datamodule"), "datamodule")]
    kept = {key: str(value) for key, value in flat if not any((key + ".").startswith(path + ".") for path in varied)}
    budget = settings.budget
    return {"budget": f"{budget.amount:g} {budget.unit}", **kept}


def _flat(node: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in NOT_SHOWN:
                yield from _flat(value, f"{path}.{key}")
    else:
        yield path, node
