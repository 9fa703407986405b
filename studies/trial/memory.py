"""The peak memory of one training: of its GPU, or of its process."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import torch

OWN = Path("/proc/self")
RESET_PEAK = "5"  # written to clear_refs; see proc_pid_clear_refs(5)


def reset_peak(device: torch.device) -> None:
    """Begin a new peak. A process's peak can only be begun anew under Linux; elsewhere it is that since its start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        (OWN / "clear_refs").write_text(RESET_PEAK)


def peak_mb(device: torch.device) -> float:
    """The peak in MB: what torch had allocated of a GPU, or what the process, its libraries included, had in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = (OWN / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
