"""The files of a trial's checkpoints: where they lie and how they are named. Needs no torch.

A file is named for its study too, so that whoever tidies up can tell what is its own where two studies share a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

ASIDE = ".tmp"  # what is being written, or was when its writer died
PATTERN = re.compile(r"rung-\d+-batch-\d+-(?P<study>[0-9a-f]{8})(-\d+)?\.ckpt(\.tmp)?")

TRIALS = "trials"
SLACK = timedelta(seconds=2)  # between the clock of a file system and that of a storage
FOLDER = re.compile(r"trial-\d+")


def trials_folder(output_dir: Path) -> Path:
    """Where the trials' own folders lie."""
    return output_dir / TRIALS


def trial_folder(output_dir: Path, number: int) -> Path:
    """Where a trial's own files lie, if it writes any."""
    return trials_folder(output_dir) / f"trial-{number}"


def own_checkpoints(folder: Path) -> Path:
    """Where the checkpoint callbacks of a trial write that were given no place of their own."""
    return folder / "checkpoints"


def trial_name(folder: Path) -> str:
    """A relative path that tells the trial or retraining of `folder` from those of all studies: STUDY/trial-N."""
    return "/".join(part for part in folder.absolute().parts[1:][-3:] if part != TRIALS)


def new_checkpoint(folder: Path, *, study_name: str, rung: int, batches: int) -> Path:
    """A path in `folder` that no file has, for the state after so many batches, `rung` being the last rung reached."""
    stem = f"rung-{rung}-batch-{batches}-{_digest(study_name)}"
    path, n = folder / f"{stem}.ckpt", 1
    while path.exists():
        n += 1
        path = folder / f"{stem}-{n}.ckpt"
    return path


def is_checkpoint_of(study_name: str, path: Path, *, output_dir: Path) -> bool:
    """Whether `path` lies and is named as this study's checkpoints are, or as one that is being written."""
    match = PATTERN.fullmatch(path.name)
    where = path.absolute().parent
    return (
        match is not None
        and match["study"] == _digest(study_name)
        and where.parent == trials_folder(output_dir).absolute()
        and FOLDER.fullmatch(where.name) is not None
    )


def sha256_of(path: Path) -> str:
    """The digest of a file. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(path: Path, *, output_dir: Path, study_name: str) -> None:
    """Delete a checkpoint of this study and the folder that it leaves empty; anything else is left alone.

    A path may come out of the storage, which others can write.
    """
    if is_checkpoint_of(study_name, path, output_dir=output_dir):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # refuses a folder that holds anything


def discard_own(folder: Path, *, since: datetime, until: datetime) -> None:
    """Delete the checkpoints that callbacks of the trial of `folder` wrote while it ran, and folders left empty.

    What is older or newer may be another study's that shares the folder.
    """
    own = own_checkpoints(folder)
    for path in sorted(own.glob("*.ckpt")):
        with contextlib.suppress(OSError):
            if since - SLACK <= datetime.fromtimestamp(path.lstat().st_mtime) <= until + SLACK:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with contextlib.suppress(OSError):
        own.rmdir()
        folder.rmdir()


def put_in_place(aside: Path, path: Path) -> None:
    """Give what was written `aside` its name, so that it survives a crash of the machine. Raises OSError."""
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot do it to a folder
            os.fsync(folder)
    finally:
        os.close(folder)


def _digest(study_name: str) -> str:
    return hashlib.sha256(study_name.encode()).hexdigest()[:8]
