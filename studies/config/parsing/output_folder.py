"""Parses `output_dir`, which usually ends in the study's name. No name may lead out of it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from studies.errors import BadInput, Problem, Problems
from studies.text.naming import shown_name, why_no_name
from studies.text.printable import printable

REMEDY = "give another study_name, or output_dir=FOLDER"
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
LONGEST_PART = 255  # bytes of one name in a file system
LONGEST_PATH = 3800  # bytes; Linux allows 4,095, with the names of files in the folder


def parse_output_dir(given: str, *, study_name: str, problems: Problems) -> Path:
    """Return the folder `given`. Add a problem if the study's name cannot name it or it cannot be written."""
    path = Path(given)
    if why_no_name(study_name) is not None and given.endswith(study_name):
        return path  # the name is reported elsewhere
    is_folder = f"/{given}".endswith(f"/{study_name}")
    if is_folder and any(part in ("", ".", "..") for part in study_name.split("/")):
        complaint = f"is {shown_name(study_name)}, which names no folder of its own in output_dir"
        problems.add("study_name", complaint, REMEDY)
        return path
    why = why_no_folder(path)
    if why is not None:
        problems.add("output_dir", f"is {short(given)}, {why}", "name a folder you can write to")
    return path


@contextlib.contextmanager
def refusals_told(folder: Path) -> Iterator[None]:
    """Raise `BadInput` with the key `output_dir` if a file in `folder` cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS or not Path(str(error.filename)).is_relative_to(folder):
            raise
        complaint = f"is {folder}, and {error.filename} cannot be written ({error.strerror})"
        raise BadInput([Problem("output_dir", complaint, "name a folder you can write to")]) from None


def why_no_folder(path: Path) -> str | None:
    """Return why no file can be written in a folder at `path`, or None. The folder may not exist yet."""
    if "\0" in str(path):
        return "which holds a NUL, as no path may"
    if any(len(os.fsencode(part)) > LONGEST_PART for part in path.parts):
        return f"which has a part of more than {LONGEST_PART} bytes"
    if len(os.fsencode(path.absolute())) > LONGEST_PATH:
        return f"which is longer than {LONGEST_PATH} bytes"
    try:
        existing = next((parent for parent in (path, *path.parents) if parent.exists()), Path())
        is_usable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    except OSError as error:
        return f"which cannot be used ({error.strerror})"
    return None if is_usable else f"and {existing} cannot be written"


def short(path: str) -> str:
    """Return `path` for a message, without its middle if it is long."""
    shown = printable(path, strict=True, one_line=True)
    return shown if len(shown) <= LONGEST_PART else f"{shown[:40]}…{shown[-40:]}"
