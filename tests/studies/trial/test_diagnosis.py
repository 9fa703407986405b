"""A failed try is told by the key that made it fail, where the config names it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from studies.errors import Problem
from studies.trial.preflight.diagnosis import of_error

CONFIG = {
    "model": {"_target_": "some.Module", "name": "data", "note": "a\nb\0"},
    "datamodule": {"data_dir": "/proc/nope", "files": ["/proc/nope/deep/table.csv"]},
}


def problem_of(path: str | None) -> Problem:
    error = OSError(errno.ENOENT, "No such file or directory", path) if path is not None else OSError("no more")
    return of_error(error, {}, CONFIG)


@pytest.mark.parametrize(
    ("path", "key", "complaint"),
    [
        ("/proc/nope", "datamodule.data_dir", "is /proc/nope, which cannot be used (No such file or directory)"),
        ("/proc/nope/prepared/x", "datamodule.data_dir", "which cannot be used at /proc/nope/prepared/x (No such file"),
        ("/proc/nope/deep/table.csv", "datamodule.files.0", "is /proc/nope/deep/table.csv, which cannot be used (No"),
        (str(Path("data/images").absolute()), "model.name", "is data, which cannot be used at "),
        ("/proc/other", "model", "fails in one batch (FileNotFoundError"),
        (None, "model", "fails in one batch (OSError: no more)"),
    ],
)
def test_a_path_that_cannot_be_used_is_told_by_the_key_that_names_it(
    path: str | None, key: str, complaint: str
) -> None:
    problem = problem_of(path)
    assert problem.key == key
    assert complaint in problem.complaint
