"""Workers as processes of this machine: long-lived, forked from a server that has torch and Lightning loaded."""

from __future__ import annotations

import multiprocessing.connection
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.crew import Crew, Ending, How
from studies.launch.devices import Place, available_cores, place_notes, places
from studies.launch.first_batch import ForkServer, stop, try_first_batch
from studies.launch.logs import logs_of_this_run, worker_log
from studies.launch.process import STOPPED, run_worker
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals
from studies.worker import RENEWED


@dataclass(slots=True)
class _Worker:
    place: Place
    process: ForkServerProcess
    errors: Connection
    log: Path
    _ending: Ending | None = field(default=None)

    @property
    def number(self) -> int:
        return self.place.worker

    def is_queued(self) -> bool:
        return False

    def ending(self) -> Ending | None:
        if self._ending is None and not self.process.is_alive():
            error, code = _sent(self.errors), self.process.exitcode
            how = How.LEFT if code == 0 or error is not None else How.RENEWED if code == RENEWED else How.DIED
            words = "asked to stop by a signal" if code == STOPPED else f"exit code {code}"
            self._ending = Ending(how, error, f"{words}; see {self.log}")
        return self._ending


class LocalLauncher:
    """Starts, watches, replaces and stops the workers of one study on this machine."""

    def __init__(self, settings: StudySettings, *, signals: StopSignals, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._signals = signals
        self._tell = tell
        self._server = ForkServer()
        self._gpus: list[str] = []
        self.logs = logs_of_this_run(settings.output_dir)

    def preflight(self) -> list[Problem]:
        """Problems that show only when the model is built and sees a first batch."""
        log = self.logs / "preflight.log"
        self._gpus, problems = try_first_batch(
            self._server, self._settings, log=log, signals=self._signals, tell=self._tell
        )
        return problems

    def places(self) -> list[object]:
        """Where the workers run, and what to know about it; after `preflight`, which counts the GPUs."""
        notes = place_notes(self._settings, n_cores=available_cores(), gpus=self._gpus)
        return [*self._places(), *notes]

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave or a signal comes; see `studies.launch.crew`."""
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
        ours, theirs = self._server.pipe()
        arguments = (self._settings, place, shift, log, theirs)
        process = self._server.start(run_worker, arguments, name=f"worker-{place.worker}")
        theirs.close()
        return _Worker(place, process, ours, log)

    def wait(self, members: Sequence[_Worker], *, seconds: float) -> None:
        """Wait so long, or until one of them has ended."""
        multiprocessing.connection.wait([member.process.sentinel for member in members], timeout=seconds)

    def end(self, members: Sequence[_Worker], *, grace_s: float) -> None:
        """Ask them to free their trials and leave, and end those that do not in time."""
        stop([member.process for member in members], grace_s=grace_s)


def _sent(errors: Connection) -> StudyError | None:
    try:
        error = errors.recv() if errors.poll() else None
    except EOFError:
        return None
    return error if isinstance(error, StudyError) else None
