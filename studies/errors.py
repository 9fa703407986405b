"""The errors that people see.

StudyError                 something stops the command (exit code 1)
├── BadInput               the config is wrong, with every problem at once (exit code 2)
│   └── StudyChanged       the stored study was made by another config
├── StorageUnusable        the storage fails in mid-study (full disk, lost connection)
└── StudyStopped           the study gave up: too many alike failures in a row
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studies.secrets.names import is_secret_name
from studies.secrets.texts import MASK, QUOTED
from studies.text.printable import printable
from studies.text.wording import counted

MAX_LISTED = 30  # valid names that a remedy lists
SHOWN_VALUE = re.compile(rf"(?<!\w)(?:{QUOTED})|(?<=\Ais )(?!\?\?\?)[^\s,'\"]+")
LONGEST = 2000  # characters of a complaint or remedy


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the config."""

    key: str
    complaint: str  # what is wrong with its value
    remedy: str  # what to do about it

    def __str__(self) -> str:
        complaint = SHOWN_VALUE.sub(MASK, self.complaint) if is_secret_name(self.key) else self.complaint
        return printable(f"{self.key} {_clipped(complaint)}: {_clipped(self.remedy)}", strict=True)


class StudyError(Exception):
    """An error that stops the command. Its text says all that the user needs to know."""

    exit_code = 1


class BadInput(StudyError):
    """The config is wrong. Holds every `Problem` that was found."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(_as_list(self.problems))

    def __reduce__(self) -> tuple[type[BadInput], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class StudyChanged(BadInput):
    """The storage holds a study of this name with another space, fixed config, metric or budget.

    `lines` describe the problems in fewer lines, if given. `command` takes the trials over under another name.
    """

    def __init__(self, problems: Sequence[Problem], *, lines: Sequence[str] = (), command: str | None = None) -> None:
        super().__init__(problems)
        goes_on = f"\nto take over the stored trials that fit the new space:\n  {command}" if command else ""
        self.args = (f"{_as_list(lines) if lines else self}{goes_on}",)


class StorageUnusable(StudyError):
    """The storage fails in mid-study. Everything written so far is intact."""


class StudyStopped(StudyError):
    """The study gave up because trials kept failing in the same way."""


def _as_list(problems: Sequence[object]) -> str:
    count = counted(len(problems), "problem", "problems")
    return "\n".join([f"{count} in the config:", *(f"  - {problem}" for problem in problems)])


class Problems:
    """Collects problems for one error."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, key: str, complaint: str, remedy: str) -> None:
        """Add a problem, unless it is known already."""
        problem = Problem(key, complaint, remedy)
        if problem not in self.found:
            self.found.append(problem)

    def unknown(self, key: str, complaint: str, known: Iterable[str]) -> None:
        """Add a problem for a word that is not one of `known`, with the nearest of them."""
        self.add(key, complaint, nearest(key.rpartition(".")[2], known))

    def raise_if_any(self) -> None:
        """Raise `BadInput` with everything found, if there is anything."""
        if self.found:
            raise BadInput(self.found)


def _clipped(text: str) -> str:
    """Return `text` without invisible characters, and without its middle if it is long."""
    shown, half = printable(text, strict=True), LONGEST // 2
    return shown if len(shown) <= LONGEST else f"{shown[:half]} … {shown[-half:]}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the remedy for a word that is not one of `known`: the closest match first, then all of them."""
    names = [str(name) for name in known]
    if not names:
        return "there is none to choose from"
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    shown = sorted(names)
    listed = ", ".join(shown[:MAX_LISTED]) + (", …" if len(shown) > MAX_LISTED else "")
    return f"did you mean {close[0]}? (valid: {listed})" if close else f"use one of {listed}"
