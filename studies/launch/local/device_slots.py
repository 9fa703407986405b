"""How many workers a machine takes, and which devices each of them sees.

Devices are slots: one worker a GPU, `slots_per_device` workers a GPU on request, or `devices_per_trial` GPUs a worker.
Not both: two groups of processes that wait for each other on the same GPUs can block each other (NCCL's documentation
warns of it). The first workers go to different devices.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import ListConfig

from studies.errors import Problem, Problems, nearest
from studies.launch.remote import ELSEWHERE
from studies.reading.limits import MOST_WORKERS, shown
from studies.settings import StudySettings

OPTIONS = {
    "local": ("threads_per_worker", "slots_per_device", "devices_per_trial", "isolation"),
    "serial": ("devices_per_trial",),
}
ISOLATION = ("worker", "process")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs. `devices` is what CUDA_VISIBLE_DEVICES is set to, empty on a CPU; each trial has `ranks`
    processes, which share `threads`."""

    worker: int
    devices: tuple[str, ...]
    threads: int
    ranks: int = 1

    def __str__(self) -> str:
        named = f"GPU{'s' if len(self.devices) > 1 else ''} {', '.join(self.devices)}" if self.devices else "CPU"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        ranks = f", {self.ranks} processes a trial" if self.ranks > 1 else ""
        return f"worker {self.worker}: {named}, {threads}{ranks}"


def places(settings: StudySettings, *, n_cores: int, gpus: Sequence[str]) -> list[Place]:
    """One place a worker; `workers: auto` means one a slot, and there are never more than trials.

    `gpus` are the names that CUDA_VISIBLE_DEVICES takes; a study that asks for the CPU leaves them alone.
    """
    groups = _groups(settings, gpus)
    n_workers = max(1, min(settings.workers or _n_slots(settings, groups, n_cores), settings.n_trials))
    threads = settings.launcher.options.get("threads_per_worker", "auto")
    n_threads = max(1, n_cores // n_workers) if threads == "auto" else int(threads)
    return [
        Place(i, groups[i % len(groups)] if groups else (), n_threads, settings.devices_per_trial)
        for i in range(n_workers)
    ]


def place_notes(settings: StudySettings, *, n_cores: int, gpus: Sequence[str]) -> list[str]:
    """What a person should know about the places."""
    groups, each = _groups(settings, gpus), settings.devices_per_trial
    n_slots, found = _n_slots(settings, groups, n_cores), places(settings, n_cores=n_cores, gpus=gpus)
    notes = []
    if each > 1:
        notes.append(f"each trial trains on {each} devices at once (DDP): a step takes {each} × its batch size")
    if groups and len(found) > n_slots:
        notes.append(f"{len(found)} workers share {n_slots} slots: launcher.slots_per_device says so, or workers=auto")
    if not groups and _slots_per_device(settings) > 1:
        notes.append("launcher.slots_per_device does nothing on a CPU: workers=N sets their number")
    if not groups and len(found) * each > n_cores:
        notes.append(f"{len(found) * each} training processes share {n_cores} cores")
    idle = gpus[len(groups) * each :] if groups else ()
    if idle:
        notes.append(f"GPU {', '.join(idle)} stays idle: {len(gpus)} GPUs are no multiple of devices_per_trial={each}")
    return notes


def place_problems(settings: StudySettings, *, gpus: Sequence[str]) -> list[Problem]:
    """Why the devices of this machine do not do for a trial."""
    each, key = settings.devices_per_trial, "launcher.devices_per_trial"
    if each == 1 or not gpus or _is_on_cpu(settings):
        return []
    if any(name.startswith("MIG") for name in gpus):
        return [Problem(key, f"is {each}, and a process sees one MIG instance only", "give 1, or whole GPUs")]
    if each > len(gpus):
        seen = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}"
        remedy = f"give {len(gpus)} or less, or trainer.accelerator=cpu"
        return [Problem(key, f"is {each} but this machine shows {seen} ({', '.join(gpus)})", remedy)]
    room = len(gpus) // each
    if settings.workers is not None and settings.workers > room:
        complaint = f"is {settings.workers} but {len(gpus)} GPUs have room for {room} trials on {each} each"
        return [Problem("workers", complaint, f"give auto or {room}: groups that share GPUs may wait for each other")]
    return []


def visible_gpus(listed: str | None, n_found: int) -> list[str]:
    """The names of the GPUs that CUDA shows, from what CUDA_VISIBLE_DEVICES has `listed`, if it is set.

    Names are numbers, UUIDs or MIG instances. CUDA ignores what follows an invalid one; of several MIG instances it
    shows a process the first, though another process may be given the next.
    """
    if not n_found:
        return []
    if listed is None:
        return [str(i) for i in range(n_found)]
    names = [name.strip() for name in listed.split(",")]
    are_instances = any(name.startswith("MIG") for name in names)
    return [name for name in names if name] if are_instances else names[:n_found]


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_launcher(settings: StudySettings, problems: Problems) -> None:
    """Note options that the launcher does not have, values that make no sense, and those that exclude each other.

    `slurm` and `ray` look after their own options.
    """
    launcher = settings.launcher
    devices = settings.trainer.get("devices", 1)
    if launcher.name != "serial" and isinstance(devices, ListConfig) and len(devices) == 1 and devices[0] != 0:
        remedy = "give 1: each worker sees its own devices only"
        remedy += "; export CUDA_VISIBLE_DEVICES to choose among them" if launcher.name == "local" else ""
        problems.add("trainer.devices", f"is {devices!r} but launcher is {launcher.name}", remedy)
    if launcher.name in ELSEWHERE:
        return
    known = OPTIONS.get(launcher.name, ())
    for option in launcher.options:
        if option not in known:
            problems.unknown(f"launcher.{option}", f"is not an option of {launcher.name}", known)
    threads = launcher.options.get("threads_per_worker", "auto")
    if threads != "auto":
        _check_count("threads_per_worker", threads, problems, otherwise="auto or ")
    isolation = launcher.options.get("isolation", "worker")
    if isolation not in ISOLATION:
        problems.add("launcher.isolation", f"is {isolation!r}", nearest(str(isolation), ISOLATION))
    counts = {key: launcher.options.get(key, 1) for key in ("slots_per_device", "devices_per_trial")}
    for key, value in counts.items():
        _check_count(key, value, problems)
    if all(_is_count(value) and value > 1 for value in counts.values()):
        complaint = f"is {counts['slots_per_device']} but devices_per_trial is {counts['devices_per_trial']}"
        remedy = "give 1 for one of them: trials that are spread over several devices do not share them"
        problems.add("launcher.slots_per_device", complaint, remedy)


def _check_count(option: str, value: object, problems: Problems, *, otherwise: str = "") -> None:
    if not _is_count(value):
        remedy = f"give {otherwise}a whole number of at least 1"
        problems.add(f"launcher.{option}", f"is {shown(value)}", remedy)
    elif isinstance(value, int) and value > MOST_WORKERS:
        problems.add(f"launcher.{option}", f"is {value}", f"give {otherwise}a whole number of at most {MOST_WORKERS}")


def _groups(settings: StudySettings, gpus: Sequence[str]) -> list[tuple[str, ...]]:
    """The devices of one trial each."""
    each = settings.devices_per_trial
    if _is_on_cpu(settings):
        return []
    return [tuple(gpus[i : i + each]) for i in range(0, len(gpus) - each + 1, each)]


def _n_slots(settings: StudySettings, groups: Sequence[tuple[str, ...]], n_cores: int) -> int:
    return len(groups) * _slots_per_device(settings) or max(1, n_cores // settings.devices_per_trial)


def _slots_per_device(settings: StudySettings) -> int:
    return int(settings.launcher.options.get("slots_per_device", 1))


def _is_on_cpu(settings: StudySettings) -> bool:
    return bool(settings.trainer.get("accelerator") == "cpu")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
