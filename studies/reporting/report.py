"""Write the report of a study: conclude section by section, then render.

A failing analysis must not lose the report. So the sections without one are written first, and all of them again after
the analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from studies.reporting.finding import File, Finding, Paragraph
from studies.reporting.layout import PAGE_ENDINGS, Layout, drawings_of, layout
from studies.reporting.renderers import html, json, latex, markdown
from studies.reporting.view import StudyView
from studies.reporting.writer import Writer
from studies.text.printable import printable
from studies.text.wording import counted

Render = Callable[[Sequence[Finding], Layout], str]

PAGES: Mapping[str, Render] = {"report.md": markdown.report, "report.json": json.report}
OWN_PAGES = {"md": markdown.page, "html": html.page, "tex": latex.page}  # of a single finding
SHOWN = (
    *("best configuration", "best model", "front", "all trials", "selection", "table (html)", "effects", "figures"),
    *("sampler benchmark", "report"),
)  # labels of the files that are printed, in this order
ANNOUNCED = 50  # trials: an analysis of fewer is over before anyone wonders
UNFINISHED = Finding(
    "What matters, and what interacts",
    blocks=(
        Paragraph("Not analysed: an error or an interruption ended the analysis. studies.report writes it again."),
    ),
)


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section, with the files that it may leave."""

    compute: Callable[[StudyView], Finding | None]  # None: nothing to say about this study
    files: tuple[str, ...] = ()  # patterns of all its paths below the output folder
    needs_config: bool = False  # whether its files do: a report from the storage alone leaves earlier ones alone
    is_slow: bool = False  # whether it needs the analysis, which may take minutes


def write_report(
    view: StudyView,
    folder: Path,
    sections: Sequence[ReportSection],
    *,
    console: Console,
    pages: Mapping[str, Render] = PAGES,
) -> None:
    """Write the findings of all `sections` into `folder`, as each of `pages`. Print the headlines and the paths.

    Raises the error of a section, such as `BadInput` for an analysis of parameters that no trial has. The other
    sections are written even then.
    """
    leaving = [section for section in sections if view.settings is not None or not section.needs_config]
    patterns = [*pages, *(pattern for section in leaving for pattern in section.files)]
    writer = Writer(folder, patterns=patterns)
    title = f"Study {view.name}"
    found = [None if section.is_slow else section.compute(view) for section in sections]
    first_slow = next((i for i, section in enumerate(sections) if section.is_slow), None)
    if first_slow is not None:
        found[first_slow] = UNFINISHED
    findings, lay = _written(writer, found, title, pages)
    try:
        if view.is_analysed and len(view.table.y) >= ANNOUNCED:
            n_parameters = counted(len(view.table.axes), "parameter", "parameters")
            console.print(f"analysing {len(view.table.y)} trials, {n_parameters} …")
        found = [
            section.compute(view) if section.is_slow else known for section, known in zip(sections, found, strict=True)
        ]
        findings, lay = _written(writer, found, title, pages)
    finally:
        removed = [f"  removed, of an earlier report: {path}" for path in writer.forgotten]
        console.print("\n".join([_summary(findings, lay), *removed]), markup=False)


def write_findings(writer: Writer, findings: Sequence[Finding], *, title: str, pages: Mapping[str, Render]) -> Layout:
    """Write the files of `findings`, and the `pages` about all of them. Return their paths."""
    lay = layout(writer.folder, title, findings, list(pages))
    texts = {block.name: block.text for f in findings for block in f.blocks if isinstance(block, File)}
    for finding in findings:
        if finding.page:
            texts |= {f"{finding.page}.{ending}": printable(OWN_PAGES[ending](finding, lay)) for ending in PAGE_ENDINGS}
    texts |= {name: printable(render(findings, lay)) for name, render in pages.items()}
    writer.write(texts, {lay.stem_of(drawing): drawing for drawing in drawings_of(findings)})
    return lay


def _written(
    writer: Writer, found: Sequence[Finding | None], title: str, pages: Mapping[str, Render]
) -> tuple[list[Finding], Layout]:
    findings = [finding for finding in found if finding is not None]
    return findings, write_findings(writer, findings, title=title, pages=pages)


def _summary(findings: Sequence[Finding], layout: Layout) -> str:
    """Return a line for each headline, then one for each file to open first."""
    lines = [sentence for finding in findings for sentence in finding.headline]
    lines += [f"  {label}: {layout.files[label]}" for label in SHOWN if label in layout.files]
    return "\n".join(lines)
