"""Workers as processes of this machine: long-lived, forked from a server that has torch and Lightning loaded.

A worker that dies alone is replaced at once, and what it ran is tried again by whoever is free. Workers that die
again and again without beginning a trial stop the study.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess

from studies.errors import Problem, StudyError, StudyStopped
from studies.launch.devices import Place, available_cores, places
from studies.launch.process import log_path, run_preflight, run_worker
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals, ctrl_c_blocked

TICK_S = 0.5
GRACE_S = 20.0  # for a worker that was asked to stop; a batch that takes longer is cut off


@dataclass(slots=True)
class _Worker:
    place: Place
    process: ForkServerProcess
    errors: Connection


class LocalLauncher:
    """Starts, watches, replaces and stops the workers of one study on this machine."""

    def __init__(self, settings: StudySettings, *, signals: StopSignals) -> None:
        self._settings = settings
        self._signals = signals
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["studies.launch.preload"])
        self._gpus: list[str] = []
        self._error: StudyError | None = None
        self._deaths = 0
        self._begun_at_last_death = -1

    def preflight(self) -> list[Problem]:
        """Problems that show only when the model is built and sees a first batch."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=run_preflight, args=(self._settings, theirs), name="preflight")
        _start(process)
        theirs.close()
        try:
            while not ours.poll(TICK_S):
                if self._signals.reason() is not None:
                    _stop([process])
                    return []
            self._gpus, problems = ours.recv()
        except EOFError:
            process.join()
            if self._signals.reason() is not None:  # a signal to the whole group
                return []
            log = self._settings.output_dir / "logs" / "preflight.log"
            complaint = f"ended the process of its first batch (exit code {process.exitcode})"
            return [Problem("model", complaint, f"see {log}")]
        process.join()
        return list(problems)

    def places(self) -> list[Place]:
        """Where the workers run; after `preflight`, which counts the GPUs."""
        return places(self._settings, n_cores=available_cores(), gpus=self._gpus)

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run workers until they leave. `on_tick`, called twice a second, returns how many trials have been begun.

        Raises the first `StudyError` of a worker, after the others have ended.
        """
        workers: list[_Worker] = []
        try:
            workers += [self._begin(place, shift) for place in self.places()]
            while workers and self._signals.reason() is None and self._error is None:
                multiprocessing.connection.wait([worker.process.sentinel for worker in workers], timeout=TICK_S)
                begun = on_tick()
                workers = [kept for worker in workers if (kept := self._look_after(worker, shift, begun)) is not None]
        finally:
            self._end(workers)
        on_tick()
        if self._error is not None:
            raise self._error

    def _begin(self, place: Place, shift: Shift) -> _Worker:
        ours, theirs = self._context.Pipe(duplex=False)
        arguments = (self._settings, place, shift, theirs)
        process = self._context.Process(target=run_worker, args=arguments, name=f"worker-{place.worker}")
        _start(process)
        theirs.close()
        return _Worker(place, process, ours)

    def _look_after(self, worker: _Worker, shift: Shift, begun: int) -> _Worker | None:
        """The worker itself while it lives, a new one in place of one that died, None for one that left."""
        if worker.process.is_alive():
            return worker
        self._error = self._error or _sent(worker.errors)
        if worker.process.exitcode == 0 or self._error is not None:
            return None
        self._deaths = self._deaths + 1 if begun == self._begun_at_last_death else 1
        self._begun_at_last_death = begun
        if self._deaths > self._settings.max_failures:
            path = log_path(self._settings, worker.place)
            code = worker.process.exitcode
            self._error = StudyStopped(
                f"workers died {self._deaths} times without beginning a trial (last exit code {code}); see {path}"
            )
            return None
        return self._begin(worker.place, shift)

    def _end(self, workers: list[_Worker]) -> None:
        _stop([worker.process for worker in workers])
        for worker in workers:
            self._error = self._error or _sent(worker.errors)


def _start(process: ForkServerProcess) -> None:
    """Start `process`, and the fork server before the first one."""
    try:
        with ctrl_c_blocked():
            process.start()
    except (EOFError, OSError) as error:
        raise StudyError(f"no worker process could be started ({error or type(error).__name__})") from error


def _stop(processes: list[ForkServerProcess]) -> None:
    """Ask `processes` to end, and end those that do not in time."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()


def _sent(errors: Connection) -> StudyError | None:
    try:
        error = errors.recv() if errors.poll() else None
    except EOFError:
        return None
    return error if isinstance(error, StudyError) else None
