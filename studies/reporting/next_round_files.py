"""Leaves the next round in an output folder: its table, its space as a file, and the report's section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studies.config.settings import StudySettings
from studies.reporting.figures.best_of_m import best_of_m
from studies.reporting.figures.drawing import Drawing
from studies.reporting.next_round import next_round_section, write_next_round
from studies.reporting.next_space_yaml import OPTION, command_of, remove_next_space, write_next_space
from studies.reporting.wording import plain

if TYPE_CHECKING:
    from studies.analysis.next_round.round import NextRound

LABEL, TABLE_LABEL = "next search space", "next round"


@dataclass(frozen=True, slots=True)
class Left:
    """The report's section on the next round, the files behind it, and the pictures that it does not show itself."""

    section: str
    files: Mapping[str, str]
    pictures: Mapping[str, Path]


def drawings_of(found: NextRound, *, metric: str) -> list[Drawing]:
    """The figures of the next round."""
    return [best_of_m(found.enough, metric=metric)] if found.enough is not None else []


def leave_next_round(
    folder: Path,
    found: NextRound,
    *,
    study_name: str,
    metric: str,
    pictures: Mapping[str, Path],
    settings: StudySettings | None = None,
) -> Left:
    """Write the table and the space into `folder`. `settings` are the study's, where they are known; `pictures` all
    that were drawn."""
    files = {TABLE_LABEL: str(write_next_round(folder, found))}
    path, how = None, ""
    if found.can_be_written:
        path = write_next_space(folder, found.next, study_name=study_name)
        files[LABEL] = str(path)
        how = _how(found, settings)
    else:
        remove_next_space(folder)
    own = {drawing.caption for drawing in drawings_of(found, metric=metric)}
    shown = [f"![{path.stem}]({path.as_posix()})\n\n*{plain(name)}.*" for name, path in pictures.items() if name in own]
    section = next_round_section(found, metric=metric, path=path, how=how, picture="\n\n".join(shown))
    return Left(section, files, {name: path for name, path in pictures.items() if name not in own})


def _how(found: NextRound, settings: StudySettings | None) -> str:
    usual = f"Copy it to `search_space/` of your config folder and name it: `search_space={OPTION}`."
    if settings is None:
        return usual
    command = command_of(settings, found.next)
    if command is None:
        return f"{usual} A `search_space` in the study's own file would overrule it: put its lines there instead."
    return f"Run it:\n\n```sh\n{command}\n```"
