"""The files of a trial's checkpoints: their places and names. Needs no torch.

A file name holds a digest of the study's name, because two studies may share a folder.

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

ASIDE = ".tmp"  # a file while it is written
PATTERN = re.compile(r"rung-\d+-batch-\d+-(?P<study>[0-9a-f]{8})(-\d+)?\.ckpt(\.tmp)?")

TRIALS = "trials"
SLACK = timedelta(seconds=2)  # between the clocks of a file system and a storage
FOLDER = re.compile(r"trial-\d+")
KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)  # of a callback's checkpoint: file, folder of shards, link
OWNER_MARK = "checkpoints-of-"  # followed by the study's digest


class SymlinkOutside(Exception):
    """A folder below the output folder is a symbolic link that leads out of it."""


def trials_folder(output_dir: Path) -> Path:
    """Return the folder that holds the folders of all trials."""
    return output_dir / TRIALS


def trial_folder(output_dir: Path, number: int) -> Path:
    """Return the folder of one trial's files."""
    return trials_folder(output_dir) / f"trial-{number}"


def own_checkpoints(folder: Path) -> Path:
    """Return the folder for checkpoint callbacks that have no place of their own."""
    return folder / "checkpoints"


def trial_name(folder: Path) -> str:
    """Return STUDY/trial-N, a relative path for the trial or retraining of `folder` that is unique among studies."""
    return "/".join(part for part in folder.absolute().parts[1:][-3:] if part != TRIALS)


def new_checkpoint(folder: Path, *, study_name: str, rung: int, batches: int) -> Path:
    """Return an unused path in `folder` for the state after `batches`, with `rung` as the last rung reached."""
    stem = f"rung-{rung}-batch-{batches}-{_digest(study_name)}"
    path, n = folder / f"{stem}.ckpt", 1
    while path.exists():
        n += 1
        path = folder / f"{stem}-{n}.ckpt"
    return path


def checkpoint_in(output_dir: Path, recorded: Path, *, study_name: str) -> Path | None:
    """Return the checkpoint of a study's record below `output_dir`, wherever the file was when it was recorded.

    None where there is no such regular file, or the record names another study's.
    """
    path = _own_file(recorded, output_dir=output_dir, study_name=study_name)
    return None if path is None or path.suffix == ASIDE else path


def symlink_target(folder: Path, *, output_dir: Path) -> Path | None:
    """Return the target where the way from `output_dir` to `folder` below it crosses a symbolic link, else None."""
    below = folder.absolute().relative_to(output_dir.absolute())
    real = Path(os.path.realpath(folder))
    return real if real != Path(os.path.realpath(output_dir)) / below else None


def refuse_symlinks(folder: Path, *, output_dir: Path) -> None:
    """Raise `SymlinkOutside` where a symbolic link would place the trial's files elsewhere."""
    for place in (folder, own_checkpoints(folder)):
        real = symlink_target(place, output_dir=output_dir)
        if real is not None:
            raise SymlinkOutside(f"{place} leads to {real} by a symbolic link: remove the link")


def is_checkpoint_of(study_name: str, path: Path, *, output_dir: Path) -> bool:
    """Return whether `path` has the place and name of a checkpoint of this study, finished or not."""
    match = PATTERN.fullmatch(path.name)
    if match is None or match["study"] != _digest(study_name) or not FOLDER.fullmatch(path.parent.name):
        return False
    return path.absolute().parent.parent == trials_folder(output_dir).absolute()


def sha256_of(path: Path) -> str:
    """Return the digest of a file. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(recorded: Path, *, output_dir: Path, study_name: str) -> None:
    """Delete a checkpoint of this study, and its folder if that is then empty. Leave anything else alone."""
    path = _own_file(recorded, output_dir=output_dir, study_name=study_name)
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # fails unless the folder is empty


def claim_own(folder: Path, *, study_name: str) -> None:
    """Note that checkpoint callbacks of this study write into the trial's `folder`.

    The note lies beside their own folder, because Lightning wants that one empty. Without a note nobody deletes files
    there.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        claim = folder / f"{OWNER_MARK}{_digest(study_name)}"
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))


def discard_own(folder: Path, *, output_dir: Path, study_name: str, since: datetime, until: datetime) -> None:
    """Delete the checkpoints that callbacks of the trial of `folder` wrote while it ran, and folders left empty.

    Older and newer files may belong to another study in the same folder. Where two studies wrote there, neither
    deletes.
    """
    own, claim = own_checkpoints(folder), folder / f"{OWNER_MARK}{_digest(study_name)}"
    with contextlib.suppress(OSError):  # another command may delete at the same moment
        if symlink_target(own, output_dir=output_dir) is not None or [*folder.glob(f"{OWNER_MARK}*")] != [claim]:
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
    """Rename `aside` to `path` so that it survives a crash of the machine. Raises OSError."""
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot do it to a folder
            os.fsync(folder)
    finally:
        os.close(folder)


def _digest(study_name: str) -> str:
    return hashlib.sha256(study_name.encode()).hexdigest()[:8]


def _own_file(recorded: Path, *, output_dir: Path, study_name: str) -> Path | None:
    """Return the regular file below `output_dir` of a study's recorded checkpoint, finished or not, else None."""
    path = trials_folder(output_dir) / recorded.parent.name / recorded.name
    if not is_checkpoint_of(study_name, path, output_dir=output_dir):
        return None
    try:
        is_regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return None
    return path if is_regular and symlink_target(path, output_dir=output_dir) is None else None
