"""How many workers a machine takes, and which device each of them sees."""

from __future__ import annotations

import os
from dataclasses import dataclass

from studies.errors import Problems
from studies.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs. `device` is what CUDA_VISIBLE_DEVICES is set to, or None on a CPU."""

    worker: int
    device: str | None
    threads: int

    def __str__(self) -> str:
        device = f"GPU {self.device}" if self.device is not None else "CPU"
        return f"worker {self.worker}: {device}, {self.threads} thread{'s' if self.threads != 1 else ''}"


def places(settings: StudySettings, *, n_cores: int, gpus: list[str]) -> list[Place]:
    """One place a worker. `workers: auto` means one a GPU, or one a core without any; never more than trials."""
    wanted = settings.workers or len(gpus) or n_cores
    n_workers = max(1, min(wanted, settings.n_trials))
    threads = settings.launcher.options.get("threads_per_worker", "auto")
    n_threads = max(1, n_cores // n_workers) if threads == "auto" else int(threads)
    return [Place(i, gpus[i % len(gpus)] if gpus else None, n_threads) for i in range(n_workers)]


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_launcher(settings: StudySettings, problems: Problems) -> None:
    """Note options that the launcher does not have; `slurm` and `ray` look after their own."""
    if settings.launcher.name in ("slurm", "ray"):
        return
    known = ("threads_per_worker",) if settings.launcher.name == "local" else ()
    for option in settings.launcher.options:
        if option not in known:
            problems.unknown(f"launcher.{option}", f"is not an option of {settings.launcher.name}", known)
    threads = settings.launcher.options.get("threads_per_worker", "auto")
    if threads != "auto" and not (isinstance(threads, int) and threads >= 1):
        problems.add("launcher.threads_per_worker", f"is {threads!r}", "give auto or a whole number of at least 1")
