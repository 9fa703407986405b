"""The paths of a report's files, all decided before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.reporting.finding import Drawing, File, Finding, Reference

MAX_NAME = 80  # letters of a picture's name
PAGE_ENDINGS = ("md", "html", "tex")  # of a finding that has pages of its own

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a report's files."""

    folder: Path  # the output folder
    title: str  # of the report
    pictures: Mapping[Key, str]  # the path of each drawing below the folder, without its ending
    files: Mapping[str, Path]  # label → path, of all files that the report mentions

    def stem_of(self, drawing: Drawing) -> str:
        """Return the path of a drawing's files below the output folder, without their ending."""
        return self.pictures[_key(drawing)]

    def picture_of(self, drawing: Drawing) -> str:
        """Return the path of a picture below the output folder."""
        return f"{self.stem_of(drawing)}.png"


def layout(folder: Path, title: str, findings: Sequence[Finding], pages: Sequence[str]) -> Layout:
    """Return the layout of a report whose `pages` (report.md, …) lie in the output folder."""
    pictures = dict(_named(drawings_of(findings)))
    files = {label: path if isinstance(path, Path) else folder / path for label, path in _labelled(findings, pictures)}
    files |= {"report": folder / pages[0]} if pages else {}
    return Layout(folder, title, pictures, files)


def drawings_of(findings: Sequence[Finding]) -> list[Drawing]:
    """Return all drawings of these findings."""
    return [block for finding in findings for block in finding.blocks if isinstance(block, Drawing)]


def safe(name: str) -> str:
    """Return `name` in letters, digits, `_` and `-` alone."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:MAX_NAME]


def _named(drawings: Sequence[Drawing]) -> Iterator[tuple[Key, str]]:
    """Yield a unique path for each drawing. Upper and lower case count as one."""
    taken: set[str] = set()
    for drawing in drawings:
        path = f"{drawing.folder}/{safe(drawing.name)}".removeprefix("/")
        free = next(
            p for i in range(1, len(taken) + 2) if (p := path if i == 1 else f"{path}_{i}").lower() not in taken
        )
        taken.add(free.lower())
        yield _key(drawing), free


def _labelled(findings: Sequence[Finding], pictures: Mapping[Key, str]) -> Iterator[tuple[str, str | Path]]:
    for finding in findings:
        for block in finding.blocks:
            match block:
                case File(label, name):
                    yield label, name
                case Reference(label, path):
                    yield label, path
                case Drawing(label="", folder=folder):
                    yield folder.replace("_", " "), folder
                case Drawing(label=label):
                    yield label, f"{pictures[_key(block)]}.csv"
                case _:
                    continue
        if finding.page:
            yield from ((f"{finding.page} ({ending})", f"{finding.page}.{ending}") for ending in PAGE_ENDINGS)


def _key(drawing: Drawing) -> Key:
    return drawing.folder, drawing.name, drawing.caption
