"""The peak memory of one training, on its GPU or else of its process, and memory between two trainings.

A finished module, its Trainer and its data are one cycle of references: only a garbage collection frees them. A
collection visits every object of the process, those of torch and Lightning too, unless they are set aside before.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from functools import cache
from pathlib import Path

import torch

OWN = Path("/proc/self")
RESET_PEAK = "5"  # written to clear_refs; see proc_pid_clear_refs(5)
UNITS_A_MB = 2**20 if sys.platform == "darwin" else 2**10  # getrusage(2): bytes on macOS, kB elsewhere


class PeakMemory:
    """The peak memory from now on: of the GPU, or else of the process with its libraries."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_reset = device.type == "cuda" or _reset()
        self._before = 0.0 if self._is_reset else process_peak_mb()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def mb(self) -> float | None:
        """Return the peak in MB.

        Some systems, such as macOS, cannot reset a process's peak. There it is the peak since the start, and None
        unless it rose.
        """
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        now = process_peak_mb()
        return now if self._is_reset or now > self._before else None


def process_peak_mb() -> float:
    """Return the peak memory of the process in MB, since its start or since the last reset."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = (OWN / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNITS_A_MB


@cache
def set_imports_aside() -> None:
    """Keep all loaded objects out of later collections, once a process. Each then takes next to no time."""
    gc.collect()
    gc.freeze()


def _reset() -> bool:
    """Begin a new peak of the process. Return whether the system can do that."""
    try:
        (OWN / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True
