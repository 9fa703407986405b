"""The files of a trial's checkpoints: where they lie and how they are named. Needs no torch.

A file is named for its study too, so that whoever tidies up can tell what is its own where two studies share a folder.

Context: a path comes out of the storage, and others may write there and in the output folder. Choice: of a recorded
path only the names of the trial's folder and of the file count, below the output folder of today. No symbolic link may
lead away from there. Cost: a folder `trials` that is a link is refused. The output folder itself may be one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from datetime import datetime, timedelta
from pathlib import Path

ASIDE = ".tmp"  # what is being written, or was when its writer died
PATTERN = re.compile(r"rung-\d+-batch-\d+-(?P<study>[0-9a-f]{8})(-\d+)?\.ckpt(\.tmp)?")

TRIALS = "trials"
SLACK = timedelta(seconds=2)  # between the clock of a file system and that of a storage
FOLDER = re.compile(r"trial-\d+")
KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)  # what a checkpoint callback writes: link, or folder of shards
CLAIM = "checkpoints-of-"  # and the study's digest: whose callbacks write into a trial's folder


class LinkedAway(Exception):
    """A folder below the output folder is a symbolic link that leads out of it."""


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


def checkpoint_in(output_dir: Path, recorded: Path, *, study_name: str) -> Path | None:
    """Return the checkpoint that a record of a study names, in `output_dir`, wherever that was when it was recorded.

    None where no regular file of that name is there, or the record names none of the study's files.
    """
    path = _placed(recorded, output_dir)
    if path is None or path.suffix == ASIDE or not is_checkpoint_of(study_name, path, output_dir=output_dir):
        return None
    return path if _is_file_of(path, output_dir) else None


def linked_away(folder: Path, *, output_dir: Path) -> Path | None:
    """Return where a symbolic link leads on the way from `output_dir` to `folder` below it; None where none is."""
    below = folder.absolute().relative_to(output_dir.absolute())
    real = Path(os.path.realpath(folder))
    return real if real != Path(os.path.realpath(output_dir)) / below else None


def refuse_links(folder: Path, *, output_dir: Path) -> None:
    """Raise `LinkedAway` where what is written into the folder of a trial would land elsewhere."""
    for place in (folder, own_checkpoints(folder)):
        real = linked_away(place, output_dir=output_dir)
        if real is not None:
            raise LinkedAway(f"{place} leads to {real} by a symbolic link: remove the link")


def is_checkpoint_of(study_name: str, path: Path, *, output_dir: Path) -> bool:
    """Whether `path` lies and is named as this study's checkpoints are, or as one that is being written."""
    match = PATTERN.fullmatch(path.name)
    is_placed = path.absolute().parent.parent == trials_folder(output_dir).absolute()
    return is_placed and match is not None and match["study"] == _digest(study_name) and _is_named(path)


def sha256_of(path: Path) -> str:
    """The digest of a file. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(recorded: Path, *, output_dir: Path, study_name: str) -> None:
    """Delete a checkpoint of this study and the folder that it leaves empty; anything else is left alone."""
    path = _placed(recorded, output_dir)
    if path is None or not is_checkpoint_of(study_name, path, output_dir=output_dir):
        return
    if _is_file_of(path, output_dir):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # refuses a folder that holds anything


def claim_own(folder: Path, *, study_name: str) -> None:
    """Note that checkpoint callbacks of this study write into the trial's `folder`: beside their own, which Lightning
    wants empty. Where it cannot be noted, nobody tidies up there."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        claim = folder / f"{CLAIM}{_digest(study_name)}"
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))


def discard_own(folder: Path, *, output_dir: Path, study_name: str, since: datetime, until: datetime) -> None:
    """Delete the checkpoints that callbacks of the trial of `folder` wrote while it ran, and folders left empty.

    What is older or newer may be another study's that shares the folder; of two that wrote there, neither deletes.
    """
    own, claim = own_checkpoints(folder), folder / f"{CLAIM}{_digest(study_name)}"
    with contextlib.suppress(OSError):  # another command may tidy up at the same moment
        if linked_away(own, output_dir=output_dir) is not None or [*folder.glob(f"{CLAIM}*")] != [claim]:
            return
        for path in sorted(own.glob("*.ckpt")):
            with contextlib.suppress(OSError):
                kind, written = stat.S_IFMT(path.lstat().st_mode), datetime.fromtimestamp(path.lstat().st_mtime)
                if kind in KINDS and since - SLACK <= written <= until + SLACK:
                    shutil.rmtree(path) if kind == stat.S_IFDIR else path.unlink()
        if own.is_dir():
            own.rmdir()
        claim.unlink()
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


def _is_named(path: Path) -> bool:
    """Whether `path` has the names of a trial's folder and of a checkpoint in it, or of one that is being written."""
    return FOLDER.fullmatch(path.parent.name) is not None and PATTERN.fullmatch(path.name) is not None


def _placed(recorded: Path, output_dir: Path) -> Path | None:
    """Return where a checkpoint of that name lies below `output_dir`, whether it is there or not."""
    return trials_folder(output_dir) / recorded.parent.name / recorded.name if _is_named(recorded) else None


def _is_file_of(path: Path, output_dir: Path) -> bool:
    """Whether `path` is a regular file, and no symbolic link, that lies in `output_dir`."""
    try:
        is_regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
    return is_regular and linked_away(path, output_dir=output_dir) is None
