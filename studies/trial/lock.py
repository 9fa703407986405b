"""Lets one process of this machine at a time do what would fail if several did it at the same moment."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusively(purpose: str) -> Iterator[None]:
    """Wait until no other process of this user on this machine runs the same `purpose` in here."""
    digest = hashlib.sha256(purpose.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"lightning-studies-{os.getuid()}-{digest}.lock")
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back
