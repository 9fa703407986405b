"""How many workers this machine runs, and which devices each of them sees.

One worker a GPU is the default, `slots_per_device` workers a GPU on request, or `devices_per_trial` GPUs a worker. Not
both: two groups of processes on the same GPUs can block each other, as NCCL's documentation warns. The first workers go
to different devices.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from studies.errors import Problem


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a study asks of the devices of this machine."""

    n_trials: int
    workers: int | None  # None: one a slot
    threads_per_worker: int | None = None  # None: the workers share the cores
    slots_per_device: int = 1
    devices_per_trial: int = 1
    on_cpu: bool = False  # leaves GPUs alone

    def groups(self, gpus: Sequence[str]) -> list[tuple[str, ...]]:
        """Return groups of GPUs, one group a trial."""
        each = self.devices_per_trial
        return [] if self.on_cpu else [tuple(gpus[i : i + each]) for i in range(0, len(gpus) - each + 1, each)]

    def n_slots(self, groups: Sequence[tuple[str, ...]], n_cores: int) -> int:
        """Return how many workers fit."""
        return len(groups) * self.slots_per_device or max(1, n_cores // self.devices_per_trial)


@dataclass(frozen=True, slots=True)
class DeviceSlot:
    """The devices and threads of one worker."""

    worker: int
    devices: tuple[str, ...]  # for CUDA_VISIBLE_DEVICES; empty on a CPU
    threads: int
    ranks: int = 1  # processes a trial, which share the threads

    def __str__(self) -> str:
        named = f"GPU{'s' if len(self.devices) > 1 else ''} {', '.join(self.devices)}" if self.devices else "CPU"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        ranks = f", {self.ranks} processes a trial" if self.ranks > 1 else ""
        return f"worker {self.worker}: {named}, {threads}{ranks}"


def device_slots(request: DeviceRequest, *, n_cores: int, gpus: Sequence[str]) -> list[DeviceSlot]:
    """Return one slot a worker, and never more slots than trials. `gpus` are names for CUDA_VISIBLE_DEVICES."""
    groups = request.groups(gpus)
    n_workers = max(1, min(request.workers or request.n_slots(groups, n_cores), request.n_trials))
    threads = request.threads_per_worker or max(1, n_cores // n_workers)
    return [
        DeviceSlot(i, groups[i % len(groups)] if groups else (), threads, request.devices_per_trial)
        for i in range(n_workers)
    ]


def slot_notes(request: DeviceRequest, *, n_cores: int, gpus: Sequence[str]) -> list[str]:
    """Return notes on slots that may surprise."""
    groups, each = request.groups(gpus), request.devices_per_trial
    n_slots = request.n_slots(groups, n_cores)
    n_workers = len(device_slots(request, n_cores=n_cores, gpus=gpus))
    notes = []
    if each > 1:
        notes.append(f"each trial trains on {each} devices at once (DDP): a step takes {each} × its batch size")
    if groups and n_workers > n_slots:
        notes.append(f"{n_workers} workers share {n_slots} slots: launcher.slots_per_device says so, or workers=auto")
    if not groups and request.slots_per_device > 1:
        notes.append("launcher.slots_per_device does nothing on a CPU: workers=N sets their number")
    if not groups and n_workers * each > n_cores:
        notes.append(f"{n_workers * each} training processes share {n_cores} cores")
    idle = gpus[len(groups) * each :] if groups else ()
    if idle:
        notes.append(f"GPU {', '.join(idle)} stays idle: {len(gpus)} GPUs are no multiple of devices_per_trial={each}")
    return notes


def slot_problems(request: DeviceRequest, *, gpus: Sequence[str]) -> list[Problem]:
    """Return why the devices of this machine are too few for a trial."""
    each, key = request.devices_per_trial, "launcher.devices_per_trial"
    if each == 1 or not gpus or request.on_cpu:
        return []
    if any(name.startswith("MIG") for name in gpus):
        return [Problem(key, f"is {each}, and a process sees one MIG instance only", "give 1, or whole GPUs")]
    if each > len(gpus):
        seen = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}"
        remedy = f"give {len(gpus)} or less, or trainer.accelerator=cpu"
        return [Problem(key, f"is {each} but this machine shows {seen} ({', '.join(gpus)})", remedy)]
    room = len(gpus) // each
    if request.workers is not None and request.workers > room:
        complaint = f"is {request.workers} but {len(gpus)} GPUs have room for {room} trials on {each} each"
        return [Problem("workers", complaint, f"give auto or {room}: groups that share GPUs may wait for each other")]
    return []


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
