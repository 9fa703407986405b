"""Workers as tasks of an array job under SLURM.

The command stays, shows how far the study is and replaces tasks that die; without it the study goes on all the same,
for a task that is pre-empted or at its time limit comes back by itself (`studies.launch.slurm.task`).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from studies.errors import Problem, Problems
from studies.launch.worker_pool import TICK_S, Crew
from studies.launch.remote import storage_notes
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.logs import logs_of_this_run
from studies.launch.slurm.jobs import Job, Slurm, master, slurm_problems
from studies.launch.slurm.options import read_slurm
from studies.launch.slurm.task import Task, logs_of_job
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals


class SlurmLauncher:
    """Submits, watches, replaces and stops the workers of one study under SLURM."""

    def __init__(self, settings: StudySettings, *, signals: StopSignals, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._signals = signals
        self._tell = tell
        self._options = read_slurm(settings, Problems())
        self._folder = settings.output_dir.resolve() / "slurm" / f"{platform.node()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._slurm = Slurm(self._options, folder=self._folder, name=f"studies-{settings.study_name}")
        self.logs = settings.output_dir / "logs"

    def preflight(self) -> list[Problem]:
        """What this machine lacks, or problems that show only when the model is built and sees a first batch."""
        log = logs_of_this_run(self._settings.output_dir) / "preflight.log"
        lacking = slurm_problems()
        if lacking:
            return lacking
        return try_first_batch(self._settings, log=log, signals=self._signals, tell=self._tell)[1]

    def places(self) -> list[str]:
        """What is asked of SLURM, and notes on the storage."""
        options, n_workers = self._options, n_tasks(self._settings)
        each = [_counted(options.cpus_per_task, "CPU")]
        if options.gpus_per_task:
            each.append(_counted(options.gpus_per_task, "GPU"))
        if options.mem_gb is not None:
            each.append(f"{options.mem_gb:g} GB")
        partition = f" in partition {options.partition}" if options.partition else ""
        line = f"{_counted(n_workers, 'SLURM task')}{partition}, each {', '.join(each)}, {options.timeout_min} min"
        return [line, *storage_notes(self._settings)]

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run tasks until they leave or a signal comes; see `studies.launch.worker_pool`."""
        crew = Crew(self._signals, max_failures=self._settings.max_failures, tell=self._tell)
        try:
            crew.run(self, range(n_tasks(self._settings)), shift=shift, on_tick=on_tick)
        finally:
            for path in self._folder.glob("*.pkl"):
                path.unlink(missing_ok=True)  # nobody comes back; the settings need not lie about

    def begin(self, numbers: Sequence[int], *, shift: Shift) -> list[Job]:
        """Submit a task for each of `numbers`."""
        jobs = self._slurm.submit([self._task(number, shift) for number in numbers])
        for job in sorted({master(job.id) for job in jobs}):
            self._tell(f"submitted SLURM job {job}; logs in {logs_of_job(self._settings.output_dir, job)}")
        return jobs

    def _task(self, number: int, shift: Shift) -> Task:
        return Task(
            settings=self._settings,
            shift=shift,
            number=number,
            gpus=self._options.gpus_per_task,
            threads=self._options.cpus_per_task,
            home=platform.node(),
            called_off=self._called_off,
        )

    @property
    def _called_off(self) -> Path:
        return self._folder / "called-off"

    def wait(self, members: Sequence[Job], *, seconds: float) -> None:
        """Wait so long, or until a signal comes, and ask SLURM how they are."""
        self._signals.wait(seconds)
        self._slurm.refresh(members)

    def end(self, members: Sequence[Job], *, grace_s: float) -> None:
        """Call off those that wait, ask the others to free their trials and leave, cancel those that do not in time."""
        living = [job for job in members if job.ending() is None]
        if not living:
            return
        if grace_s > 0:
            self._called_off.touch()
            self._slurm.cancel([job for job in living if job.is_queued()])
            self._slurm.cancel([job for job in living if not job.is_queued()], signal="TERM")
            living = self._wait_for(living, seconds=grace_s)
        self._slurm.cancel(living)
        if grace_s > 0:
            self._wait_for(living, seconds=grace_s)

    def _wait_for(self, jobs: Sequence[Job], *, seconds: float) -> list[Job]:
        """Those of `jobs` that have not ended in so many seconds."""
        deadline = time.monotonic() + seconds
        living = list(jobs)
        while living and time.monotonic() < deadline:
            time.sleep(TICK_S)
            self._slurm.refresh(living)
            living = [job for job in living if job.ended_since is None and job.ending() is None]
        return living


def n_tasks(settings: StudySettings) -> int:
    """How many tasks the study takes; never more than trials."""
    return max(1, min(settings.workers or 1, settings.n_trials))


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"
