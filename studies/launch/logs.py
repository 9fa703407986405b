"""Paths of the logs of one run of a command: each run has its own folder, so no two commands write the same file."""

from __future__ import annotations

import logging
import os
import platform
import sys
from pathlib import Path

from studies.launch.log_limit import ShortLog
from studies.secrets.texts import MaskedStream
from studies.text.printable import shortened

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
RECORD_LENGTH = 50_000  # characters


def logs_of_this_run(output_dir: Path) -> Path:
    """Return the folder for the logs of this process's workers. Several machines may share `output_dir`."""
    return output_dir / "logs" / f"{platform.node()}-{os.getpid()}"


def worker_log(folder: Path, worker: int) -> Path:
    """Return the path of a worker's log."""
    return folder / f"worker-{worker}.log"


def write_to(path: Path) -> None:
    """Append all output and log records of this process to the file at `path`, and keep it short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for number in (1, 2):  # sys.stdout and sys.stderr may have been replaced
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = MaskedStream(1), MaskedStream(2)
    ShortLog(path).watch()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Printable(LOG_FORMAT))


class _Printable(logging.Formatter):
    """Writes each record without control characters and with a bounded length."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record`."""
        return shortened(super().format(record), RECORD_LENGTH)
