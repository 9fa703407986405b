"""Settings of torch and numpy that hold for a whole process."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.multiprocessing
from threadpoolctl import ThreadpoolController
from torch.nn.modules import module as modules
from torch.utils import deterministic as _deterministic

from studies.trial.process_state.setting import ProcessSetting, of_attributes

DEVICES = ("cpu", "cuda")
deterministic: Any = _deterministic  # its members are made at run time, unseen by mypy
future: Any = torch.__future__
CUDNN = ("enabled", "benchmark", "benchmark_limit", "deterministic")
ATTENTION = ("flash_sdp", "mem_efficient_sdp", "math_sdp", "cudnn_sdp")
CONVERSION = ("swap_module_params_on_conversion", "overwrite_module_params_on_conversion")
HOOKS: tuple[Any, ...] = (  # of all modules
    *(modules.register_module_forward_hook, modules.register_module_forward_pre_hook),
    *(modules.register_module_full_backward_hook, modules.register_module_full_backward_pre_hook),
    *(modules.register_module_buffer_registration_hook, modules.register_module_module_registration_hook),
    modules.register_module_parameter_registration_hook,
)


def _kind_of_new_tensor() -> tuple[Any, ...]:
    """Return the kind of a new tensor: it shows an inference mode, a mode of functions, or a type that was left on."""
    tensor = torch.empty(0)
    return type(tensor), tensor.layout, tensor.device, tensor.is_inference()


def _set_deterministic(before: tuple[bool, bool, bool]) -> None:
    mode, warn_only, fills = before
    torch.use_deterministic_algorithms(mode, warn_only=warn_only)
    deterministic.fill_uninitialized_memory = fills


def _autocast() -> tuple[Any, ...]:
    return (
        torch.is_autocast_cache_enabled(),
        *((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in DEVICES),
    )


def _set_autocast(before: tuple[Any, ...]) -> None:
    is_cached, *modes = before
    torch.set_autocast_cache_enabled(is_cached)
    for kind, (is_enabled, dtype) in zip(DEVICES, modes, strict=True):
        torch.set_autocast_enabled(kind, is_enabled)
        torch.set_autocast_dtype(kind, dtype)


def _attention() -> list[bool]:
    return [getattr(torch.backends.cuda, f"{kind}_enabled")() for kind in ATTENTION]


def _set_attention(before: list[bool]) -> None:
    for kind, is_enabled in zip(ATTENTION, before, strict=True):
        getattr(torch.backends.cuda, f"enable_{kind}")(is_enabled)


@cache
def _tables_of_hooks() -> tuple[dict[Any, Any], ...]:
    """Return the tables of hooks for all modules. Each is found by a hook that is removed at once."""
    found = []
    for register in HOOKS:
        handle: Any = register(lambda *_: None)
        found.append(handle.hooks_dict_ref())
        handle.remove()
    return tuple(found)


def _set_hooks(before: list[dict[Any, Any]]) -> None:
    for table, hooks in zip(_tables_of_hooks(), before, strict=True):
        table.clear()
        table.update(hooks)


def _set_safe_globals(before: set[Any]) -> None:
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*before])


def _set_conversion(before: list[bool]) -> None:
    for name, is_set in zip(CONVERSION, before, strict=True):
        getattr(future, f"set_{name}")(is_set)


@cache
def _pools() -> Any:
    """Return the thread pools of the loaded libraries, OpenMP's and the BLAS's. They are found once a process."""
    return ThreadpoolController().lib_controllers


def _threads() -> list[int]:
    return [torch.get_num_threads(), *(pool.num_threads for pool in _pools())]


def _set_threads(before: list[int]) -> None:
    own, *others = before
    torch.set_num_threads(own)
    for pool, n_threads in zip(_pools(), others, strict=True):
        pool.set_num_threads(n_threads)


TORCH = (
    ProcessSetting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    ProcessSetting(
        "torch's default device",
        torch.get_default_device,
        lambda before: torch.set_default_device(None if before == torch.device("cpu") else before),
    ),
    ProcessSetting("whether gradients are taken", torch.is_grad_enabled, torch.set_grad_enabled),
    ProcessSetting("a mode of torch", _kind_of_new_tensor),
    ProcessSetting(
        "torch's deterministic algorithms",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            deterministic.fill_uninitialized_memory,
        ),
        _set_deterministic,
    ),
    ProcessSetting(
        "torch's detection of anomalies",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda before: torch.autograd.set_detect_anomaly(*before),
    ),
    ProcessSetting("torch's autocast", _autocast, _set_autocast),
    of_attributes("torch's backends", *((torch.backends.cudnn, name) for name in CUDNN)),
    ProcessSetting("torch's attention kernels", _attention, _set_attention),
    of_attributes(
        "how torch rounds on GPUs",
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction"),
        (torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction"),
    ),
    of_attributes("torch's mkldnn", (torch.backends.mkldnn, "enabled")),
    ProcessSetting(
        "the fast path of attention", torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled
    ),
    ProcessSetting("hooks of all modules", lambda: [dict(table) for table in _tables_of_hooks()], _set_hooks),
    ProcessSetting(
        "how modules are converted", lambda: [getattr(future, f"get_{name}")() for name in CONVERSION], _set_conversion
    ),
    ProcessSetting(
        "the types that torch.load trusts", lambda: {*torch.serialization.get_safe_globals()}, _set_safe_globals
    ),
    ProcessSetting("whether torch repeats warnings", torch.is_warn_always_enabled, torch.set_warn_always),
    ProcessSetting(
        "the precision of float32 products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    ProcessSetting(
        "whether denormal numbers are flushed", lambda: sys.float_info.min / 2 == 0, torch.set_flush_denormal
    ),
    ProcessSetting("the numbers of threads", _threads, _set_threads),
    ProcessSetting("the number of torch's interop threads", torch.get_num_interop_threads),
    ProcessSetting(
        "how torch shares tensors between processes",
        torch.multiprocessing.get_sharing_strategy,
        torch.multiprocessing.set_sharing_strategy,
    ),
    ProcessSetting("numpy's handling of errors", np.geterr, lambda before: np.seterr(**before)),
    ProcessSetting("the size of numpy's buffer", np.getbufsize, np.setbufsize),
    ProcessSetting("numpy's print options", np.get_printoptions, lambda before: np.set_printoptions(**before)),
)
