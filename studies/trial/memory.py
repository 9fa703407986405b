"""The memory of a training: its peak, its release, and a second training at half the batch where memory is short.

A finished module, its Trainer and its data are one cycle of references: only a garbage collection frees them. A
collection visits every object of the process, those of torch and Lightning too, unless they are set aside before.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from studies.config.settings import OutOfMemorySettings
from studies.schema import Failure
from studies.trial.failures import TrainingFailed, classify, traced
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.training import Training

OWN = Path("/proc/self")
RESET_PEAK = "5"  # written to clear_refs; see proc_pid_clear_refs(5)
UNITS_A_MB = 2**20 if sys.platform == "darwin" else 2**10  # getrusage(2): bytes on macOS, kB elsewhere
REFUSAL = "MisconfigurationException"  # how Lightning refuses to accumulate for a module that steps by itself


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


def free_memory() -> None:
    """Release the memory of a failed training."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def train_within_memory(
    config: Mapping[str, Any],
    train: Callable[[HalfBatch | None], Training],
    *,
    rule: OutOfMemorySettings,
    halves: Callable[[HalfBatch, str], None],
) -> Training:
    """Train at the full batch of `config`. After out-of-memory train at half of it, if `rule` allows it.

    The second training has the same seed and budget, and starts from the beginning. `halves(half, message)` is called
    before it. Raises the exception of the last training. Where there is no second one, raises the out-of-memory failure
    with the reason in its message.
    """
    try:
        return train(None)
    except Exception as error:
        failure, message = classify(error)
        if rule.retry == "none" or failure is not Failure.OUT_OF_MEMORY:
            raise
        half = half_of(config, rule.batch_size)
        if half is None:
            reason = f"{message}; not tried at half the batch: {rule.batch_size} is odd"
            raise TrainingFailed(failure, reason, traced(error)) from None
    free_memory()  # not inside the handler: the exception keeps the module alive
    halves(half, message)
    try:
        return train(half)
    except Exception as error:
        refusal = classify(error)[1]
        if not refusal.startswith(REFUSAL):
            raise
        reason = f"{message}; not tried at half the batch: {refusal}"
        raise TrainingFailed(failure, reason, traced(error)) from None


def _reset() -> bool:
    """Begin a new peak of the process. Return whether the system can do that."""
    try:
        (OWN / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True
