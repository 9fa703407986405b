"""Workers as tasks of an array job under SLURM.

The command shows the progress and replaces tasks that die. The study goes on without it: a task that is pre-empted or
at its time limit comes back by itself, see `studies.launch.slurm.task`.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from studies.errors import Problem, Problems
from studies.launch.context import LaunchContext
from studies.launch.logs import logs_of_this_run
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.remote import storage_notes
from studies.launch.slurm.jobs import Slurm, SlurmWorker, array_of
from studies.launch.slurm.options import parse_slurm
from studies.launch.slurm.task import SlurmTask, logs_of_job
from studies.launch.worker_pool import TICK_S, WorkerPool
from studies.process.deadline import Deadline
from studies.text.wording import counted


class SlurmLauncher:
    """Submits, watches, replaces and stops the workers of one study under SLURM."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        self._settings = context.settings
        self._options = parse_slurm(self._settings.launcher.options, Problems())
        own = f"{platform.node()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._folder = self._settings.output_dir.resolve() / "slurm" / own
        self._called_off = self._folder / "called-off"
        self._slurm = Slurm(self._options, folder=self._folder, name=f"studies-{self._settings.study_name}")
        self.logs = self._settings.output_dir / "logs"

    def preflight(self) -> list[Problem]:
        """Try a first batch on this machine and return its problems."""
        log = logs_of_this_run(self._settings.output_dir) / "preflight.log"
        return list(try_first_batch(self._context, log=log).problems)

    def describe(self) -> list[str]:
        """Return what the tasks ask of SLURM, and notes on the storage."""
        options, n_workers = self._options, self._n_workers
        each = [counted(options.cpus_per_task, "CPU", "CPUs")]
        if options.gpus_per_task:
            each.append(counted(options.gpus_per_task, "GPU", "GPUs"))
        if options.mem_gb is not None:
            each.append(f"{options.mem_gb:g} GB")
        partition = f" in partition {options.partition}" if options.partition else ""
        tasks = counted(n_workers, "SLURM task", "SLURM tasks")
        line = f"{tasks}{partition}, each {', '.join(each)}, {options.timeout_min} min"
        return [line, *storage_notes(self._settings.storage.address)]

    def run(self, deadline: Deadline, *, on_tick: Callable[[], int]) -> None:
        """Run tasks until they leave or a signal comes, as `WorkerPool.run` does."""
        pool = WorkerPool(self._context.signals, max_failures=self._settings.max_failures, tell=self._context.tell)
        try:
            pool.run(self, range(self._n_workers), deadline=deadline, on_tick=on_tick)
        finally:
            for path in self._folder.glob("*.pkl"):
                path.unlink(missing_ok=True)  # no task comes back, so the settings can go

    def start(self, numbers: Sequence[int], *, deadline: Deadline) -> list[SlurmWorker]:
        """Submit a task for each of `numbers`."""
        jobs = self._slurm.submit([self._task(number, deadline) for number in numbers])
        for job in sorted({array_of(job.id) for job in jobs}):
            self._context.tell(f"submitted SLURM job {job}; logs in {logs_of_job(self._settings.output_dir, job)}")
        return jobs

    def _task(self, number: int, deadline: Deadline) -> SlurmTask:
        return SlurmTask(
            settings=self._settings,
            deadline=deadline,
            number=number,
            gpus=self._options.gpus_per_task,
            threads=self._options.cpus_per_task,
            home=platform.node(),
            called_off=self._called_off,
        )

    @property
    def _n_workers(self) -> int:
        return max(1, min(self._settings.workers or 1, self._settings.n_trials))

    def wait(self, workers: Sequence[SlurmWorker], *, seconds: float) -> None:
        """Wait so many seconds, or until a signal comes, and update the states."""
        self._context.signals.wait(seconds)
        self._slurm.refresh(workers)

    def stop(self, workers: Sequence[SlurmWorker], *, grace_s: float) -> None:
        """Cancel the waiting tasks. Ask the others to free their trials and leave, and cancel them after `grace_s`."""
        living = [job for job in workers if job.end() is None]
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

    def _wait_for(self, jobs: Sequence[SlurmWorker], *, seconds: float) -> list[SlurmWorker]:
        """Wait for the end of `jobs`, and return those that live after so many seconds."""
        deadline = time.monotonic() + seconds
        living = list(jobs)
        while living and time.monotonic() < deadline:
            time.sleep(TICK_S)
            self._slurm.refresh(living)
            living = [job for job in living if job.ended_since is None and job.end() is None]
        return living
