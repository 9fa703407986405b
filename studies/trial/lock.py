"""Lets one process of this machine at a time do what its neighbours would do at the same moment."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(purpose: str) -> Iterator[None]:
    """Wait until no other process of this user on this machine is in here for the same `purpose`."""
    digest = hashlib.sha256(purpose.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"lightning-studies-{os.getuid()}-{digest}.lock")
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back
