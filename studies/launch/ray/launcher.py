"""Workers as actors of a Ray cluster: one on this machine, or one of many nodes.

The command owns the actors. If it dies, Ray ends them, and the leases free their trials.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import ray

from studies.errors import Problem, Problems
from studies.launch.context import LaunchContext
from studies.launch.logs import logs_of_this_run, worker_log
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.ray.actor import ActorTask
from studies.launch.ray.cluster import Cluster, RayWorker, wait_for
from studies.launch.ray.options import parse_ray
from studies.launch.remote import storage_notes
from studies.launch.worker_pool import WorkerPool
from studies.process.deadline import Deadline
from studies.secrets.texts import known
from studies.text.wording import counted

QUEUE_TOLD_S = 60.0  # a node may be on its way


class RayLauncher:
    """Starts, watches, replaces and stops the workers of one study on a Ray cluster."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        self._settings = context.settings
        self._options = parse_ray(self._settings.launcher.options, Problems())
        self._cluster = Cluster(self._options)
        self._room = 0
        self._told_queue = time.monotonic()
        self.logs = logs_of_this_run(self._settings.output_dir)

    def preflight(self) -> list[Problem]:
        """Try a first batch and return its problems, or join the cluster. Raises `BadInput` if that fails."""
        problems = try_first_batch(self._context, log=self.logs / "preflight.log").problems
        if not problems and self._context.signals.reason() is None:
            self._cluster.join()
            self._room = self._cluster.room()
        return list(problems)

    def describe(self) -> list[str]:
        """Return what the workers take of the cluster, and notes on its room and the storage."""
        options, n_workers = self._options, self._n_workers
        each = f"each {options.cpus_per_worker:g} CPU"
        each += f" and {options.gpus_per_worker:g} GPU" if options.gpus_per_worker else ""
        where = options.address or f"its own on {platform.node()}"
        lines = [f"{counted(n_workers, 'Ray actor', 'Ray actors')}, {each}; cluster: {where}"]
        if n_workers > self._room:
            lines.append(
                f"note: the cluster has room for {self._room} of {n_workers} workers; the others wait for theirs"
            )
        return [*lines, *storage_notes(self._settings.storage.address)]

    @property
    def _n_workers(self) -> int:
        return max(1, min(self._settings.workers or self._room, self._settings.n_trials))

    def run(self, deadline: Deadline, *, on_tick: Callable[[], int]) -> None:
        """Run actors until they leave or a signal comes, as `WorkerPool.run` does."""
        pool = WorkerPool(self._context.signals, max_failures=self._settings.max_failures, tell=self._context.tell)
        try:
            pool.run(self, range(self._n_workers), deadline=deadline, on_tick=on_tick)
        finally:
            self._cluster.leave()

    def start(self, numbers: Sequence[int], *, deadline: Deadline) -> list[RayWorker]:
        """Ask for an actor for each of `numbers`."""
        return [self._cluster.start(self._task(i, deadline), log=worker_log(self.logs, i)) for i in numbers]

    def _task(self, number: int, deadline: Deadline) -> ActorTask:
        storage = replace(self._settings.storage, url=self._settings.storage.address)  # nodes lack this environment
        return ActorTask(
            settings=replace(self._settings, storage=storage),
            deadline=deadline,
            number=number,
            threads=max(1, int(self._options.cpus_per_worker)),
            gpus=self._options.gpus_per_worker,
            home=platform.node(),
            folder=Path.cwd(),
            logs=self.logs,
            secrets=known(),
        )

    def wait(self, workers: Sequence[RayWorker], *, seconds: float) -> None:
        """Wait until one of `workers` ends, at most so many seconds."""
        wait_for(workers, seconds=seconds)
        if time.monotonic() - self._told_queue > QUEUE_TOLD_S:
            self._told_queue = time.monotonic()
            if all(worker.is_queued() for worker in workers):
                who = f"all {len(workers)} workers"
                self._context.tell(f"{who} wait for room in the cluster (ray status tells what it has)")

    def stop(self, workers: Sequence[RayWorker], *, grace_s: float) -> None:
        """Ask `workers` to free their trials and leave. Kill those that wait for a place, and the others in time."""
        living = [worker for worker in workers if worker.end() is None]
        placed = [worker for worker in living if grace_s > 0 and not worker.is_queued()]
        for worker in placed:
            worker.handle.stop.remote(self._context.signals.reason() or "the command ends its workers")
        for worker in living:
            if worker not in placed:
                ray.kill(worker.handle)
        wait_for(placed, seconds=grace_s, all_of_them=True)
        for worker in placed:
            if worker.end() is None:
                ray.kill(worker.handle)
