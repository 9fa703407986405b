"""An actor of a Ray cluster: one worker, on the node that Ray chooses."""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass, field
from pathlib import Path

from studies.config.settings import StudySettings
from studies.errors import StudyError
from studies.launch.logs import worker_log, write_to
from studies.launch.remote import describe_worker, enter, refuse_file_of_another_machine
from studies.launch.worker_process import STOPPED, serve
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.secrets.texts import know
from studies.worker import WorkerContext


@dataclass(frozen=True, slots=True)
class ActorTask:
    """What an actor needs to work."""

    settings: StudySettings  # with the storage's address in it
    deadline: Deadline
    number: int
    threads: int
    gpus: float
    home: str  # the command's machine
    folder: Path  # the command's working folder
    logs: Path
    secrets: frozenset[str] = field(default=frozenset(), repr=False)  # to be masked


class RayActor:
    """One worker. Two of its methods run at once: `run`, and `stop` from the command."""

    def __init__(self) -> None:
        self._signals = StopSignals()
        self._called_off = False
        if threading.current_thread() is threading.main_thread():
            self._signals.install_in_worker()  # a node that is shut down sends SIGTERM

    def node(self) -> str:
        """Return the name of its machine. An answer means that it has found a place."""
        return platform.node()

    def stop(self, reason: str) -> None:
        """Ask it to free its trial and leave."""
        self._called_off = True
        self._signals.stop(reason)

    def run(self, task: ActorTask) -> StudyError | None:
        """Run trials until nothing is left to do, and return the `StudyError` that ended the worker, if any.

        If a signal from elsewhere ends it before, the process ends with `STOPPED`.
        """
        know(task.secrets)
        try:
            self._run(task)
        except StudyError as error:
            return error
        except SystemExit as leaving:  # the worker's device is lost; in this thread the exception would end nothing
            os._exit(int(leaving.code or 0) or STOPPED)
        return None

    def _run(self, task: ActorTask) -> None:
        enter(task.folder)
        write_to(worker_log(task.logs, task.number))
        refuse_file_of_another_machine(task.settings.storage.address, home=task.home)
        if not task.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves a node's GPUs visible to actors that asked for none
        place = describe_worker(task.number, f"Ray node {platform.node()}", threads=task.threads)
        serve(WorkerContext(task.settings, place, task.deadline, self._signals), threads=task.threads)
        if self._signals.reason() is not None and not self._called_off:
            raise SystemExit(STOPPED)
