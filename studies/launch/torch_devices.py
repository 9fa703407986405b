"""The GPUs and threads that torch uses in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from threadpoolctl import threadpool_limits

from studies.errors import StudyError


def gpu_ids() -> list[str]:
    """Return the GPUs of this machine, by the names that CUDA_VISIBLE_DEVICES takes. Does not initialise CUDA."""
    return visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())


def visible_gpus(listed: str | None, n_found: int) -> list[str]:
    """Return the names of the `n_found` GPUs that CUDA shows, given the value of CUDA_VISIBLE_DEVICES, if it is set.

    Names are numbers, UUIDs or MIG instances. CUDA ignores every name after an invalid one. Of several MIG instances it
    shows a process the first only, but another process may be given the next.
    """
    if not n_found:
        return []
    if listed is None:
        return [str(i) for i in range(n_found)]
    names = [name.strip() for name in listed.split(",")]
    are_instances = any(name.startswith("MIG") for name in names)
    return [name for name in names if name] if are_instances else names[:n_found]


def use_devices(devices: Sequence[str]) -> None:
    """Show these GPUs to CUDA, or leave them as they are if there are none.

    Raises `StudyError` if CUDA is initialised already and has chosen its device.
    """
    if devices:
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            raise StudyError("CUDA was initialised before the worker had its device: see what preload.py imports")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)


def limit_threads(n: int) -> None:
    """Use at most `n` threads, in torch and in every other library with a thread pool."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)  # for libraries that the module loads later
    threadpool_limits(limits=n)  # for NumPy's, which is loaded
    torch.set_num_threads(n)
