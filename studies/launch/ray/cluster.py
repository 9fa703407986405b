"""Talks to a Ray cluster: joins or starts it, counts its room, and starts, asks and ends actors."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from studies.errors import BadInput, Problem, StudyError
from studies.launch.ray.actor import ActorTask, RayActor
from studies.launch.ray.options import RayOptions
from studies.launch.worker_pool import EndReason, WorkerEnd
from studies.process.signals import SIGNALS, ctrl_c_blocked
from studies.secrets.texts import masked

OBJECT_STORE_BYTES = 100_000_000  # of a cluster of our own: nothing but settings passes through it
CONNECT_S = 10.0
LONGEST_REASON = 160


@dataclass(slots=True)
class RayWorker:
    """One worker as the command sees it: an actor, and its pending answers."""

    number: int
    handle: Any
    node: Any  # answered once the actor has a place
    result: Any  # answered once the actor has ended
    log: Path
    _end: WorkerEnd | None = field(default=None)

    def is_queued(self) -> bool:
        """Return whether it still waits for a place."""
        return not ray.wait([self.node], timeout=0)[0]

    def end(self) -> WorkerEnd | None:
        """Return how it ended, or None while it works or waits."""
        if self._end is None and ray.wait([self.result], timeout=0)[0]:
            try:
                error = ray.get(self.result)
                self._end = WorkerEnd(EndReason.LEFT, error if isinstance(error, StudyError) else None)
            except ray.exceptions.RayError as error:
                ray.kill(self.handle)  # it may only be out of reach, and would run beside its replacement
                self._end = WorkerEnd(EndReason.DIED, words=f"{_in_words(error)}; see {self.log}")
        return self._end


class Cluster:
    """The cluster of one run of the command."""

    def __init__(self, options: RayOptions) -> None:
        self._options = options

    def join(self) -> None:
        """Join the cluster, or start one on this machine. Raises `BadInput` if it cannot be reached."""
        own = self._options.address is None
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # errors come as exceptions
        with ctrl_c_blocked(), _signals_kept():
            try:
                _knock(self._options.address)
                ray.init(
                    address=self._options.address or "local",
                    include_dashboard=False if own else None,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    configure_logging=False,
                    object_store_memory=OBJECT_STORE_BYTES if own else None,
                )
            except (OSError, ValueError, RuntimeError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                complaint = f"is {self._options.address}, where no cluster can be joined ({reason})"
                remedy = "start one with ray start --head, run the command on one of its nodes, or give null"
                if own:
                    complaint = f"is null, and no cluster of its own can be started ({reason})"
                    remedy = "free what Ray needs, or take launcher=local"
                raise BadInput([Problem("launcher.address", complaint, remedy)]) from None

    def leave(self) -> None:
        """Leave the cluster, and end it if it was started for this run."""
        with _signals_kept():
            ray.shutdown()

    def room(self) -> int:
        """Return how many workers the cluster has room for."""
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(self.room_of(has.get("CPU", 0), has.get("GPU", 0)) for has in resources)

    def room_of(self, cpus: float, gpus: float) -> int:
        """Return how many workers fit on a node with so many CPUs and GPUs. No worker spans several nodes."""
        room = int(cpus / self._options.cpus_per_worker + 1e-9)
        return room if not self._options.gpus_per_worker else min(room, self._gpu_room(gpus))

    def _gpu_room(self, gpus: float) -> int:
        wanted = self._options.gpus_per_worker
        return int(gpus / wanted + 1e-9) if wanted >= 1 else int(gpus) * int(1 / wanted + 1e-9)

    def start(self, task: ActorTask, *, log: Path) -> RayWorker:
        """Ask for an actor that works on `task`."""
        actor = ray.remote(RayActor).options(
            num_cpus=self._options.cpus_per_worker,
            num_gpus=self._options.gpus_per_worker,
            max_restarts=0,  # the command starts replacements itself
            max_concurrency=3,
            runtime_env=self._environment(),
        )
        handle: Any = actor.remote()
        return RayWorker(task.number, handle, handle.node.remote(), handle.run.remote(task), log)

    def _environment(self) -> dict[str, Any] | None:
        """Return this machine's PYTHONPATH for the nodes of another cluster. A cluster of our own inherits it."""
        search_path = os.environ.get("PYTHONPATH")
        if not search_path or self._options.address is None:
            return None
        entries = [str(Path(entry).resolve()) for entry in search_path.split(os.pathsep)]
        return {"env_vars": {"PYTHONPATH": os.pathsep.join(entries)}}


def wait_for(workers: Sequence[RayWorker], *, seconds: float, all_of_them: bool = False) -> None:
    """Wait until one of `workers` ends, or all of them, at most so many seconds."""
    if workers:
        wanted = len(workers) if all_of_them else 1
        ray.wait([worker.result for worker in workers], num_returns=wanted, timeout=seconds)


def room_of_cluster(options: RayOptions) -> int:
    """Join the cluster, return how many workers it has room for, and leave it."""
    cluster = Cluster(options)
    cluster.join()
    try:
        return cluster.room()
    finally:
        cluster.leave()


def _knock(address: str | None) -> None:
    """Raise OSError if no process listens at `address`. Ray itself tries for minutes."""
    if address is not None and address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore our signal handlers afterwards, as Ray replaces that of SIGTERM."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_words(error: Exception) -> str:
    """Return what happened to an actor, without the pages on common causes that Ray appends."""
    text = masked(" ".join(str(error).split())).partition("Worker exit detail")[0]
    text = text.partition("The actor")[1] + text.partition("The actor")[2] or text or type(error).__name__
    return text.strip().rstrip(".")[:LONGEST_REASON]
