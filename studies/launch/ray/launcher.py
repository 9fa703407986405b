"""Workers as actors of a Ray cluster: one on this machine, or one of many nodes.

The command is the actors' owner: where it dies, Ray ends them, and their trials are freed by their leases.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from studies.errors import Problem, Problems
from studies.launch.worker_pool import Crew
from studies.launch.remote import storage_notes
from studies.launch.preflight.first_batch import try_first_batch
from studies.launch.logs import logs_of_this_run, worker_log
from studies.launch.ray.cluster import Actor, Cluster, ray_problems, wait_for
from studies.launch.ray.options import read_ray
from studies.launch.ray.worker import Post
from studies.secret_texts import known
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals

QUEUE_TOLD_S = 60.0  # a node may be on its way


class RayLauncher:
    """Places, watches, replaces and stops the workers of one study on a Ray cluster."""

    def __init__(self, settings: StudySettings, *, signals: StopSignals, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._signals = signals
        self._tell = tell
        self._options = read_ray(settings, Problems())
        self._cluster = Cluster(self._options)
        self._room = 0
        self._told_queue = time.monotonic()
        self.logs = logs_of_this_run(settings.output_dir)

    def preflight(self) -> list[Problem]:
        """What this machine lacks, or problems that show only when the model is built and sees a first batch.

        Joins the cluster. Raises `BadInput` where that fails.
        """
        lacking = ray_problems()
        if lacking:
            return lacking
        log = self.logs / "preflight.log"
        problems = try_first_batch(self._settings, log=log, signals=self._signals, tell=self._tell)[1]
        if not problems and self._signals.reason() is None:
            self._cluster.join()
            self._room = self._cluster.room()
        return problems

    def places(self) -> list[str]:
        """What the cluster has room for, and notes on the storage; after `preflight`."""
        options, n_workers = self._options, self._n_workers
        each = f"each {options.cpus_per_worker:g} CPU"
        each += f" and {options.gpus_per_worker:g} GPU" if options.gpus_per_worker else ""
        where = options.address or f"its own on {platform.node()}"
        lines = [f"{n_workers} Ray actor{'s' if n_workers != 1 else ''}, {each}; cluster: {where}"]
        if n_workers > self._room:
            lines.append(
                f"note: the cluster has room for {self._room} of {n_workers} workers; the others wait for theirs"
            )
        return [*lines, *storage_notes(self._settings)]

    @property
    def _n_workers(self) -> int:
        return max(1, min(self._settings.workers or self._room, self._settings.n_trials))

    def run(self, shift: Shift, *, on_tick: Callable[[], int]) -> None:
        """Run actors until they leave or a signal comes; see `studies.launch.worker_pool`."""
        crew = Crew(self._signals, max_failures=self._settings.max_failures, tell=self._tell)
        try:
            crew.run(self, range(self._n_workers), shift=shift, on_tick=on_tick)
        finally:
            self._cluster.leave()

    def begin(self, numbers: Sequence[int], *, shift: Shift) -> list[Actor]:
        """Ask for an actor for each of `numbers`."""
        return [self._cluster.place(self._post(i, shift), log=worker_log(self.logs, i)) for i in numbers]

    def _post(self, number: int, shift: Shift) -> Post:
        """Carries the storage's address: an environment variable of this machine is none of a node's."""
        storage = replace(self._settings.storage, url=self._settings.storage.address)
        return Post(
            settings=replace(self._settings, storage=storage),
            shift=shift,
            number=number,
            threads=max(1, int(self._options.cpus_per_worker)),
            gpus=self._options.gpus_per_worker,
            home=platform.node(),
            folder=Path.cwd(),
            logs=self.logs,
            secrets=known(),
        )

    def wait(self, members: Sequence[Actor], *, seconds: float) -> None:
        """Wait so long, or until one of them has ended."""
        wait_for(members, seconds=seconds)
        if time.monotonic() - self._told_queue > QUEUE_TOLD_S:
            self._told_queue = time.monotonic()
            queued = [actor for actor in members if actor.is_queued()]
            if len(queued) == len(members):
                self._tell(f"all {len(members)} workers wait for room in the cluster (ray status tells what it has)")

    def end(self, members: Sequence[Actor], *, grace_s: float) -> None:
        """Ask them to free their trials and leave, and end those that wait for a place or do not leave in time."""
        import ray

        living = [actor for actor in members if actor.ending() is None]
        placed = [actor for actor in living if grace_s > 0 and not actor.is_queued()]
        for actor in placed:
            actor.handle.stop.remote(self._signals.reason() or "the command ends its workers")
        for actor in living:
            if actor not in placed:
                ray.kill(actor.handle)
        wait_for(placed, seconds=grace_s, all_of_them=True)
        for actor in placed:
            if actor.ending() is None:
                ray.kill(actor.handle)
