"""Workers as processes of this machine: long-lived, forked from a server that has torch and Lightning loaded."""

from __future__ import annotations

import multiprocessing.connection
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.processes.child import Child, Reader, pipe, start, stop
from studies.launch.worker_pool import Crew, Ending, How
from studies.launch.local.launcher.device_slots import Place, available_cores, place_notes, places
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.logs import logs_of_this_run, worker_log
from studies.launch.worker_process import STOPPED, run_worker
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals
from studies.worker import RENEWED

LINGER_S = 5.0  # for a process that has said its last word


@dataclass(slots=True)
class _Worker:
    place: Place
    child: Child
    words: Reader  # its last one: an error, or None where it leaves by itself
    log: Path
    _last_words: list[StudyError | None] = field(default_factory=list)
    _heard: float = 0.0
    _ending: Ending | None = field(default=None)

    @property
    def number(self) -> int:
        return self.place.worker

    def is_queued(self) -> bool:
        return False

    def ending(self) -> Ending | None:
        if self._ending is None:
            self._listen()
            if not self.child.is_alive():
                self._listen()  # to what it said in the meantime
                self._ending = self._how()
            elif self._last_words and time.monotonic() - self._heard > LINGER_S:
                self.child.send(signal.SIGKILL)
        return self._ending

    def _listen(self) -> None:
        try:
            if not self._last_words and self.words.poll():
                self._last_words.append(self.words.recv())
                self._heard = time.monotonic()
        except (EOFError, OSError):  # nothing, or half a message
            return

    def _how(self) -> Ending:
        """Return how it ended: without a word it has died, whatever its exit code is."""
        code = self.child.exit_code()
        if self._last_words:
            return Ending(How.LEFT, self._last_words[0])
        if code == STOPPED:
            return Ending(How.STOPPED, None, f"asked to stop by a signal (see {self.log})")
        return Ending(How.RENEWED if code == RENEWED else How.DIED, None, f"{self.child.in_words()}; see {self.log}")


class LocalLauncher:
    """Starts, watches, replaces and stops the workers of one study on this machine."""

    def __init__(self, settings: StudySettings, *, signals: StopSignals, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._signals = signals
        self._tell = tell
        self._gpus: list[str] = []
        self.logs = logs_of_this_run(settings.output_dir)

    def preflight(self) -> list[Problem]:
        """Problems that show only when the model is built and sees a first batch."""
        log = self.logs / "preflight.log"
        self._gpus, problems = try_first_batch(self._settings, log=log, signals=self._signals, tell=self._tell)
        return problems

    def places(self) -> list[object]:
        """Where the workers run, and what to know about it; after `preflight`, which counts the GPUs."""
        notes = place_notes(self._settings, n_cores=available_cores(), gpus=self._gpus)
        return [*self._places(), *notes]

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes; see `studies.launch.worker_pool`."""
        crew = Crew(self._signals, max_failures=self._settings.max_failures, tell=self._tell)
        crew.run(self, range(len(self._places())), shift=shift, on_tick=on_tick)

    def begin(self, numbers: Sequence[int], *, shift: Shift) -> list[_Worker]:
        """Start the workers of these numbers."""
        begun: list[_Worker] = []
        try:
            for place in self._places():
                if place.worker in numbers:
                    begun.append(self._begin(place, shift))
        except StudyError:
            self.end(begun, grace_s=0)
            raise
        return begun

    def _places(self) -> list[Place]:
        return places(self._settings, n_cores=available_cores(), gpus=self._gpus)

    def _begin(self, place: Place, shift: Shift) -> _Worker:
        log = worker_log(self.logs, place.worker)
        ours, theirs = pipe()
        child = start(run_worker, (self._settings, place, shift, log, theirs), name=f"worker-{place.worker}")
        theirs.close()
        return _Worker(place, child, ours, log)

    def wait(self, members: Sequence[_Worker], *, seconds: float) -> None:
        """Wait so long, or until one of them has ended."""
        multiprocessing.connection.wait([member.child.fileno() for member in members], timeout=seconds)

    def end(self, members: Sequence[_Worker], *, grace_s: float) -> None:
        """Ask them to free their trials and leave, and end those that do not in time."""
        stop([member.child for member in members], grace_s=grace_s)
