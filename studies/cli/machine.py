"""Failures of the machine: a storage that fails, or a full disk."""

from __future__ import annotations

import errno

from optuna.exceptions import StorageInternalError

from studies.errors import StorageUnusable, StudyError
from studies.storage.opening import unusable
from studies.storage.outage import is_of_a_row


def failure_of_the_machine(error: Exception) -> StudyError | None:
    """Return a failing storage or a full disk as an error for a person. None for any other error."""
    if isinstance(error, StorageInternalError) or is_of_a_row(error):
        return unusable(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageUnusable(f"the disk is full ({error.filename}): free some space and run the same command again")
    return None
