"""Workers as processes of this machine: long-lived, forked from a server that has torch and Lightning loaded."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.context import LaunchContext
from studies.launch.local.device_slots import DeviceSlot, available_cores, device_slots, slot_notes
from studies.launch.local.options import device_request
from studies.launch.logs import logs_of_this_run, worker_log
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.processes.child import Child, Reader, pipe, start, stop
from studies.launch.worker_pool import EndReason, WorkerEnd, WorkerPool
from studies.launch.worker_process import STOPPED, run_worker
from studies.process.deadline import Deadline
from studies.worker import RENEWED

LINGER_S = 5.0  # for a process that has sent its last word


@dataclass(slots=True)
class _LocalWorker:
    slot: DeviceSlot
    child: Child
    words: Reader  # gives one last word: an error, or None if the worker leaves by itself
    log: Path
    _last_words: list[StudyError | None] = field(default_factory=list)
    _heard: float = 0.0
    _end: WorkerEnd | None = field(default=None)

    @property
    def number(self) -> int:
        return self.slot.worker

    def is_queued(self) -> bool:
        return False

    def end(self) -> WorkerEnd | None:
        if self._end is None:
            self._listen()
            if not self.child.is_alive():
                self._listen()  # it may have spoken in the meantime
                self._end = self._find_end()
            elif self._last_words and time.monotonic() - self._heard > LINGER_S:
                self.child.send(signal.SIGKILL)
        return self._end

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # nothing, or half a message
            if not self._last_words and self.words.poll():
                self._last_words.append(self.words.recv())
                self._heard = time.monotonic()

    def _find_end(self) -> WorkerEnd:
        """Return how the process ended. Without a last word it has died, whatever its exit code is."""
        code = self.child.exit_code()
        if self._last_words:
            return WorkerEnd(EndReason.LEFT, self._last_words[0])
        if code == STOPPED:
            return WorkerEnd(EndReason.STOPPED, words=f"asked to stop by a signal (see {self.log})")
        reason = EndReason.RENEWED if code == RENEWED else EndReason.DIED
        return WorkerEnd(reason, words=f"{self.child.in_words()}; see {self.log}")


class LocalLauncher:
    """Starts, watches, replaces and stops the workers of one study on this machine."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        self._settings = context.settings
        self._request = device_request(self._settings)
        self._gpus: list[str] = []
        self.logs = logs_of_this_run(self._settings.output_dir)

    def preflight(self) -> list[Problem]:
        """Try a first batch and return its problems. Also counts the GPUs."""
        found = try_first_batch(self._context, log=self.logs / "preflight.log")
        self._gpus = list(found.gpus)
        return list(found.problems)

    def describe(self) -> list[str]:
        """Return a line for each worker, and notes. Call `preflight` first."""
        notes = slot_notes(self._request, n_cores=available_cores(), gpus=self._gpus)
        return [*map(str, self._slots()), *notes]

    def run(self, deadline: Deadline, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes, as `WorkerPool.run` does."""
        pool = WorkerPool(self._context.signals, max_failures=self._settings.max_failures, tell=self._context.tell)
        pool.run(self, range(len(self._slots())), deadline=deadline, on_tick=on_tick)

    def start(self, numbers: Sequence[int], *, deadline: Deadline) -> list[_LocalWorker]:
        """Start the workers with these numbers."""
        started: list[_LocalWorker] = []
        try:
            for slot in self._slots():
                if slot.worker in numbers:
                    started.append(self._start(slot, deadline))
        except StudyError:
            self.stop(started, grace_s=0)
            raise
        return started

    def _slots(self) -> list[DeviceSlot]:
        return device_slots(self._request, n_cores=available_cores(), gpus=self._gpus)

    def _start(self, slot: DeviceSlot, deadline: Deadline) -> _LocalWorker:
        log = worker_log(self.logs, slot.worker)
        ours, theirs = pipe()
        child = start(run_worker, (self._settings, slot, deadline, log, theirs), name=f"worker-{slot.worker}")
        theirs.close()
        return _LocalWorker(slot, child, ours, log)

    def wait(self, workers: Sequence[_LocalWorker], *, seconds: float) -> None:
        """Wait until one of `workers` ends, at most so many seconds."""
        multiprocessing.connection.wait([worker.child.fileno() for worker in workers], timeout=seconds)

    def stop(self, workers: Sequence[_LocalWorker], *, grace_s: float) -> None:
        """Ask `workers` to free their trials and leave, and kill the others after `grace_s`."""
        stop([worker.child for worker in workers], grace_s=grace_s)
