"""Everything that an analysis leaves in a folder: tables, `analysis.json`, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studies.reporting.analysis_csv import TABLES, write_tables
from studies.reporting.analysis_json import write_analysis_json
from studies.reporting.figures.drawing import Drawing, write_drawings
from studies.reporting.figures.drawings import drawings
from studies.reporting.next_round import TABLE as NEXT_ROUND
from studies.reporting.next_space_yaml import remove_next_space

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis

FIGURES = "figures"


def write_analysis(folder: Path, analysis: Analysis, *, metric: str, more: Sequence[Drawing] = ()) -> dict[str, Path]:
    """Write all of it into `folder`, which is made where it is missing, and `more` drawings beside its own; what an
    earlier analysis left there and this one does not write is removed. Label → path: the tables and the JSON by name,
    pictures by their captions."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = write_tables(folder, analysis)
    document = write_analysis_json(folder / "analysis.json", analysis, metric=metric)
    pictures = write_drawings(folder / FIGURES, [*drawings(analysis, metric=metric), *more])
    return {**tables, "analysis": document, **pictures}


def remove_analysis(folder: Path) -> None:
    """Remove what an earlier analysis left in `folder`."""
    remove_next_space(folder)
    for name in (*TABLES, NEXT_ROUND, "analysis.json"):
        (folder / name).unlink(missing_ok=True)
    write_drawings(folder / FIGURES, [])


def pictures_of(written: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Of what was written, the figures: caption → path from `folder` on."""
    return {caption: path.relative_to(folder) for caption, path in written.items() if path.suffix == ".png"}


def files_of(written: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Of what was written, the tables and the JSON, and the folder of figures where there are any."""
    tables = {label: str(path) for label, path in written.items() if path.suffix != ".png"}
    return {**tables, "figures": str(folder / FIGURES)} if pictures_of(written, folder) else tables
