"""What an actor of a Ray cluster does: it is one worker, on whichever node Ray puts it."""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass, field
from pathlib import Path

from studies.errors import StudyError
from studies.launch.remote import enter, refuse_file_of_another_machine
from studies.launch.logs import worker_log, write_to
from studies.launch.worker_process import STOPPED, limit_threads, serve
from studies.secret_texts import know
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals


@dataclass(frozen=True, slots=True)
class Post:
    """What an actor is told: the study, with its storage's address in it; the command's machine, folder and logs; the
    secrets to be masked."""

    settings: StudySettings
    shift: Shift
    number: int
    threads: int
    gpus: float
    home: str
    folder: Path
    logs: Path
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


class RayWorker:
    """One worker. Two of its methods run at once: one works, the other one stops it."""

    def __init__(self) -> None:
        self._signals = StopSignals()
        self._called_off = False
        if threading.current_thread() is threading.main_thread():
            self._signals.install_in_worker()  # a node that is shut down sends SIGTERM

    def where(self) -> str:
        """The machine it is on; an answer means that it has found a place."""
        return platform.node()

    def stop(self, reason: str) -> None:
        """Ask it to free its trial and leave."""
        self._called_off = True
        self._signals.stop(reason)

    def run(self, post: Post) -> StudyError | None:
        """Work until there is nothing left to do; the `StudyError` that ended it, or None.

        Where a signal that is not the command's ends it before, the process ends with `STOPPED`.
        """
        know(post.secrets)
        try:
            return self._run(post)
        except SystemExit as leaving:  # of a worker whose device is lost; in this thread it would end nothing
            os._exit(int(leaving.code or 0) or STOPPED)

    def _run(self, post: Post) -> StudyError | None:
        try:
            enter(post.folder)
            write_to(worker_log(post.logs, post.number))
            refuse_file_of_another_machine(post.settings, home=post.home)
        except StudyError as refusal:
            return refusal
        if not post.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves a node's GPUs visible to actors that asked for none
        limit_threads(post.threads)
        error = serve(post.settings, place_in_words(post), shift=post.shift, signals=self._signals)
        if error is None and self._signals.reason() is not None and not self._called_off:
            raise SystemExit(STOPPED)
        return error


def place_in_words(post: Post) -> str:
    """Where this actor runs."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ""
    device = f"GPU {gpus}" if gpus else "CPU"
    threads = f"{post.threads} thread{'s' if post.threads != 1 else ''}"
    return f"worker {post.number}: Ray node {platform.node()}, {device}, {threads}"
