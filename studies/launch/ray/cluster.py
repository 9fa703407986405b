"""Talks to a Ray cluster: joins it or starts one, counts what it has room for, places, asks and ends actors."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.errors import BadInput, Problem, Problems, StudyError
from studies.launch.worker_pool import Ending, How
from studies.launch.ray.options import RayOptions, read_ray
from studies.launch.ray.worker import Post, RayWorker
from studies.secret_texts import masked
from studies.settings import StudySettings
from studies.signals import SIGNALS, ctrl_c_blocked

OBJECT_STORE_BYTES = 100_000_000  # of a cluster of our own: nothing but settings passes through it
CONNECT_S = 10.0
LONGEST_REASON = 160
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do anyway, and tells at each start
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@dataclass(slots=True)
class Actor:
    """One worker: its handle, and what it promised: its place, and its end."""

    number: int
    handle: Any
    place: Any
    result: Any
    log: Path
    _ending: Ending | None = field(default=None)

    def is_queued(self) -> bool:
        """Whether it still waits for a place."""
        import ray

        return not ray.wait([self.place], timeout=0)[0]

    def ending(self) -> Ending | None:
        """How it ended, or None while it works or waits."""
        import ray

        if self._ending is None and ray.wait([self.result], timeout=0)[0]:
            try:
                error = ray.get(self.result)
                self._ending = Ending(How.LEFT, error if isinstance(error, StudyError) else None)
            except ray.exceptions.RayError as error:
                ray.kill(self.handle)  # it may only be out of reach, and would go on beside the one that replaces it
                self._ending = Ending(How.DIED, words=f"{_in_words(error)}; see {self.log}")
        return self._ending


class Cluster:
    """The cluster of one run of the command."""

    def __init__(self, options: RayOptions) -> None:
        self._options = options

    def join(self) -> None:
        """Join the cluster, or start one on this machine. Raises `BadInput` where it cannot be reached."""
        import ray

        own = self._options.address is None
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what goes wrong comes as an exception
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
        """Leave the cluster, and end it where it was started for this run."""
        import ray

        with _signals_kept():
            ray.shutdown()

    def room(self) -> int:
        """How many workers the cluster has room for."""
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(self.room_of(has.get("CPU", 0), has.get("GPU", 0)) for has in resources)

    def room_of(self, cpus: float, gpus: float) -> int:
        """How many workers a node with so many CPUs and GPUs has room for; none is spread over several."""
        room = int(cpus / self._options.cpus_per_worker + 1e-9)
        return room if not self._options.gpus_per_worker else min(room, self._gpu_room(gpus))

    def _gpu_room(self, gpus: float) -> int:
        wanted = self._options.gpus_per_worker
        return int(gpus / wanted + 1e-9) if wanted >= 1 else int(gpus) * int(1 / wanted + 1e-9)

    def place(self, post: Post, *, log: Path) -> Actor:
        """Ask for an actor that works at `post`."""
        import ray

        actor = ray.remote(RayWorker).options(
            num_cpus=self._options.cpus_per_worker,
            num_gpus=self._options.gpus_per_worker,
            max_restarts=0,  # a new actor is one that the command knows of
            max_concurrency=3,
            runtime_env=self._environment(),
        )
        handle: Any = actor.remote()
        return Actor(post.number, handle, handle.where.remote(), handle.run.remote(post), log)

    def _environment(self) -> dict[str, Any] | None:
        """Where modules are looked for: as here. A cluster of our own inherits it, nodes of another one do not."""
        search_path = os.environ.get("PYTHONPATH")
        if not search_path or self._options.address is None:
            return None
        entries = [str(Path(entry).resolve()) for entry in search_path.split(os.pathsep)]
        return {"env_vars": {"PYTHONPATH": os.pathsep.join(entries)}}


def wait_for(actors: Sequence[Actor], *, seconds: float, all_of_them: bool = False) -> None:
    """Wait so long, or until one of `actors` has ended, or all of them."""
    import ray

    if actors:
        wanted = len(actors) if all_of_them else 1
        ray.wait([actor.result for actor in actors], num_returns=wanted, timeout=seconds)


def ray_problems() -> list[Problem]:
    """What this machine lacks for Ray."""
    if importlib.util.find_spec("ray") is None:
        return [Problem("launcher.name", "is ray, which is not installed", "pip install 'lightning-studies[ray]'")]
    os.environ.update({key: value for key, value in QUIET.items() if key not in os.environ})
    return []


def n_actors(settings: StudySettings) -> int:
    """How many workers the study would have on its cluster, which is joined for the answer."""
    if settings.workers is not None:
        return max(1, min(settings.workers, settings.n_trials))
    cluster = Cluster(read_ray(settings, Problems()))
    cluster.join()
    try:
        return max(1, min(cluster.room(), settings.n_trials))
    finally:
        cluster.leave()


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens: Ray itself tries for minutes."""
    if address is not None and address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM over, which is ours to handle."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_words(error: Exception) -> str:
    """What became of an actor, in a few words: Ray appends pages on common causes."""
    text = masked(" ".join(str(error).split())).partition("Worker exit detail")[0]
    text = text.partition("The actor")[1] + text.partition("The actor")[2] or text or type(error).__name__
    return text.strip().rstrip(".")[:LONGEST_REASON]
