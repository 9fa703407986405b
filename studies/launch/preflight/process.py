"""What a process that tries batches does from its first to its last line.

The command imports this file too, so both functions import late what loads torch: after signals and output are
set, for the import takes a moment.
"""

from __future__ import annotations

import logging
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from studies.config.settings import StudySettings
from studies.errors import Problem
from studies.launch.logs import write_to
from studies.launch.preflight.findings import Found, Plan
from studies.process.leaving import ends_in_time
from studies.process.signals import SIGNALS, follow_parent
from studies.text.printable import described

LAST_BATCH_S = 1.0  # to end between two batches, before the command kills the process


def run_first_batch(settings: StudySettings, log: Path, answers: Connection) -> None:
    """Try a first batch and send what was `Found`."""
    _begin(log)
    from studies.launch.preflight.batches import find_problems
    from studies.launch.torch_devices import gpu_ids

    notes: list[str] = []
    with ends_in_time():
        try:
            problems = find_problems(settings, tell=notes.append)
        except Exception as error:  # noqa: BLE001 - logged, and reported by the command
            problems = [_of_failure(error, log)]
        answers.send(Found(gpus=tuple(gpu_ids()), problems=tuple(problems), notes=tuple(notes)))


def run_check(plan: Plan, log: Path, answers: Connection) -> None:
    """Try the points of `plan`, send each `Found`, then None."""
    _begin(log)
    from studies.launch.preflight.batches import check_points

    with ends_in_time():
        try:
            for found in check_points(plan, margin_s=LAST_BATCH_S):
                answers.send(found)
        except Exception as error:  # noqa: BLE001 - logged, and reported by the command
            answers.send(Found(problems=(_of_failure(error, log),)))
        answers.send(None)


def _begin(log: Path) -> None:
    """Leave signals to the command, which ends this process, and write to `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command passes it on as SIGTERM
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    follow_parent(lambda _reason: os._exit(1))
    write_to(log)


def _of_failure(error: Exception, log: Path) -> Problem:
    """Log an exception from outside of a batch, and return its problem."""
    logging.getLogger(__name__).exception("preflight failed")
    return Problem("model", f"fails before training ({described(error)})", f"see {log}")
