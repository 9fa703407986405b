"""The only writer of an output folder.

Context: a folder holds the files of several reports, and a command may end at any moment. Choice: sections declare
all their files. The writer writes each file aside and renames it, and removes declared files that are no longer true.
Cost: writing an undeclared file is an error of ours.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from studies.reporting.csv_table import csv_text
from studies.reporting.finding import Drawing

DPI = 110
OURS = re.compile(r"[\w./-]+", re.ASCII)  # a report's file has no other letters in its name


class Writer:
    """Writes into `folder`. `patterns` match all files of a report, as paths below it."""

    def __init__(self, folder: Path, *, patterns: Sequence[str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._patterns = tuple(patterns)
        self._made: dict[str, object] = {}  # path below the folder → the content it was made from
        self._before = self._present()

    @property
    def forgotten(self) -> list[Path]:
        """The removed files of earlier reports."""
        return [self.folder / name for name in sorted(self._before - self._present())]

    def write(self, texts: Mapping[str, str], drawings: Mapping[str, Drawing]) -> None:
        """Write `texts` (path below the folder → text) and `drawings` (the same, without an ending).

        Unchanged files of the last call are left alone. All other files that match the patterns are removed.
        """
        made: dict[str, object] = dict(texts)
        made |= {f"{name}.csv": csv_text(drawing.columns, drawing.rows) for name, drawing in drawings.items()}
        for name, content in made.items():
            if self._made.get(name) != content:
                with self._aside(name) as aside:
                    aside.write_text(str(content), encoding="utf-8", errors="backslashreplace", newline="")
        for name, drawing in drawings.items():
            if self._made.get(f"{name}.csv") != made[f"{name}.csv"]:
                with self._aside(f"{name}.png") as aside:
                    draw_picture(aside, drawing)
            made[f"{name}.png"] = None
        self._made = made
        for name in self._present() - made.keys():
            self._remove(name)

    def _present(self) -> set[str]:
        """Return the files of reports in the folder, as paths below it."""
        paths = [path for pattern in self._patterns for path in self.folder.glob(pattern)]
        names = {str(path.relative_to(self.folder)) for path in paths if path.is_file() or path.is_symlink()}
        return {name for name in names if OURS.fullmatch(name)}

    @contextmanager
    def _aside(self, name: str) -> Iterator[Path]:
        """Provide a path to make a file at, and rename that to its own name. An error names the file, not the path."""
        if not any(fnmatchcase(name, pattern) for pattern in self._patterns):
            raise ValueError(f"no section declares that it leaves {name}")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            yield aside
            aside.replace(path)
        except OSError as error:
            error.filename = str(path)
            raise
        finally:
            aside.unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink()
        if path.parent != self.folder and not any(path.parent.iterdir()):
            path.parent.rmdir()


def draw_picture(path: Path, drawing: Drawing) -> None:
    """Draw as PNG, in matplotlib's default style. Letters without a glyph are boxes."""
    from matplotlib import figure, style

    with style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        canvas = figure.Figure(figsize=(drawing.width, drawing.height), layout="constrained")
        drawing.draw(canvas, drawing.rows)
        canvas.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
