"""Findings in Markdown: `report.md`, and the page of a single finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from studies.reporting.finding import (
    Block,
    Bullets,
    Command,
    Drawing,
    File,
    Finding,
    Heading,
    Paragraph,
    Reference,
    Table,
)
from studies.reporting.layout import Layout
from studies.reporting.wording import code, plain, table


def report(findings: Sequence[Finding], layout: Layout) -> str:
    """Return the report: a title, all headlines, a section for each finding, and the paths of the files."""
    headline = " ".join(sentence for finding in findings for sentence in finding.headline)
    sections = [part for finding in findings for part in _section(finding, layout)]
    files = [f"- {label}: {code(str(path))}" for label, path in layout.files.items()]
    parts = [f"# {plain(layout.title)}", plain(headline), *sections, "## Files", "\n".join(files)]
    return "\n\n".join(filter(None, parts)) + "\n"


def page(finding: Finding, layout: Layout) -> str:
    """Return one finding as a page of its own. Its headline is left out: the blocks say more."""
    parts = [f"# {plain(layout.title)}", *_blocks(finding, layout)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(finding: Finding, layout: Layout) -> Iterator[str]:
    if finding.title:
        yield f"## {plain(finding.title)}"
    yield from _blocks(finding, layout)


def _blocks(finding: Finding, layout: Layout) -> Iterator[str]:
    return filter(None, (_block(block, layout) for block in finding.blocks))


def _block(block: Block, layout: Layout) -> str:
    match block:
        case Paragraph():
            return _paragraph(block)
        case Bullets(items):
            return "\n".join(f"- {_paragraph(item)}" for item in items)
        case Heading(text):
            return f"### {plain(text)}"
        case Command(text):
            return f"```sh\n{text}\n```"
        case Table(header, rows, caption):
            return "\n\n".join(filter(None, [plain(caption), table(header, rows)]))
        case Drawing():
            path = PurePosixPath(layout.picture_of(block))
            return f"![{path.stem}]({path})\n\n*{plain(block.caption)}.*"
        case File() | Reference():
            return ""


def _paragraph(paragraph: Paragraph) -> str:
    lead = f"**{plain(paragraph.lead)}**" if paragraph.lead else ""
    return lead + plain(paragraph.text)
