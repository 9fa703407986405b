"""Reads the output folder, which usually bears the study's name: no name may lead out of it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from studies.errors import BadInput, Problem, Problems

REMEDY = "give another study_name, or output_dir=FOLDER"
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR)
LONGEST_NAME = 255  # bytes that file systems take for one name


def read_output_dir(given: str, *, study_name: str, problems: Problems) -> Path:
    """Return the folder `given`. Note a study name that cannot name a folder, and a folder that cannot be written."""
    path = Path(given)
    why = _why_no_folder(given, study_name)
    if why is not None:
        problems.add("study_name", f"is {study_name!r}, {why}", REMEDY)
        return path
    existing = next((parent for parent in (path, *path.parents) if parent.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        problems.add("output_dir", f"is {path}, and {existing} cannot be written", "name a folder you can write to")
    return path


@contextlib.contextmanager
def refusals_told(folder: Path) -> Iterator[None]:
    """Raise `BadInput` with the key `output_dir` where a file in `folder` cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS or not Path(str(error.filename)).is_relative_to(folder):
            raise
        complaint = f"is {folder}, and {error.filename} cannot be written ({error.strerror})"
        raise BadInput([Problem("output_dir", complaint, "name a folder you can write to")]) from None


def _why_no_folder(given: str, study_name: str) -> str | None:
    """Return why the study's name cannot name its folder. Return None if it can, or if the folder has another name."""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in given.split("/")):
        return "too long a name for a folder"
    if not f"/{given}".endswith(f"/{study_name}"):
        return None
    if "\0" in study_name or any(part in ("", ".", "..") for part in study_name.split("/")):
        return "which names no folder of its own in output_dir"
    return None
