"""The fork server of this machine, and the process in it that tries a first batch before any worker is started."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from studies.errors import Problem, StudyError
from studies.launch.process import run_preflight
from studies.leaving import GRACE_S, descendants, end
from studies.settings import StudySettings
from studies.signals import SIGNALS, StopSignals, ctrl_c_blocked

POLL_S = 0.5
LEAVE_S = 2 * GRACE_S  # for a process that has told all it has to tell


class ForkServer:
    """Starts processes that have torch and Lightning loaded."""

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["studies.launch.preload"])

    def pipe(self) -> tuple[multiprocessing.connection.Connection, multiprocessing.connection.Connection]:
        """A reading and a writing end."""
        return self._context.Pipe(duplex=False)

    def start(self, target: Callable[..., None], arguments: Sequence[Any], *, name: str) -> ForkServerProcess:
        """A process that runs `target`; the fork server is started before the first one. Raises `StudyError`."""
        process = self._context.Process(target=target, args=tuple(arguments), name=name)
        try:
            with ctrl_c_blocked(*SIGNALS):  # the server too: its death would look like that of all workers
                process.start()
        except (EOFError, OSError) as error:
            raise StudyError(f"no worker process could be started ({error or type(error).__name__})") from error
        return process


def stop(processes: Sequence[ForkServerProcess], *, grace_s: float) -> None:
    """Ask `processes` to end, and end those that do not in time, with the processes that they have started."""
    begun = [pid for process in processes if process.is_alive() for pid in descendants(process.pid or 0)]
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(grace_s)
        if process.is_alive():
            process.kill()
            process.join()
    end(begun)


def try_first_batch(
    server: ForkServer, settings: StudySettings, *, log: Path, signals: StopSignals, tell: Callable[[str], None]
) -> tuple[list[str], list[Problem]]:
    """The GPUs' ids of this machine, and the problems that a first batch shows; nothing where a signal comes first.
    `tell` takes notes."""
    ours, theirs = server.pipe()
    process = server.start(run_preflight, (settings, log, theirs), name="preflight")
    theirs.close()
    try:
        while not ours.poll(POLL_S):
            if signals.reason() is not None:
                stop([process], grace_s=POLL_S)
                return [], []
        gpus, problems, notes = ours.recv()
    except EOFError:
        process.join()
        if signals.reason() is not None:  # a signal to the whole group
            return [], []
        complaint = f"ended the process of its first batch (exit code {process.exitcode})"
        return [], [Problem("model", complaint, f"see {log}")]
    process.join(LEAVE_S)
    stop([process], grace_s=0.0)
    for note in notes:
        tell(note)
    return list(gpus), list(problems)
