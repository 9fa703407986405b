"""Modules of users that leave the process in another state than they found it in, or hand on what is no number."""

from __future__ import annotations

import builtins
import decimal
import logging
import logging.config
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from user_modules import Plain

_forked: set[int] = set()
EVIL_TEXT = "\x1b[31mred\x1b[0m \u202egnol\u2066 \x00 \ud800 a\rb \x9b1m"


class Leaves(Plain):
    """Does one of `WAYS` in each batch of training; with `when: trial` not in those that are tried before a study, with
    `when: built` in its constructor."""

    calls: int = 0

    def __init__(self, how: str = "nothing", when: str = "batch", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.how, self.when = how, when
        if when == "built":
            WAYS[how]()
            self.how = "nothing"

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = super().training_step([one.to(self.line.weight.dtype) for one in batch], batch_idx)
        if self.when != "trial" or "trial-" in str(self.trainer.default_root_dir):
            WAYS[self.how]()
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        super().validation_step([one.to(self.line.weight.dtype) for one in batch], batch_idx)


class Logs(Plain):
    """Logs a value of its own as the metric."""

    def __init__(self, value: str = "plain", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.value = value

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", VALUES[self.value](), prog_bar=False)


def _raise(error: BaseException) -> None:
    raise error


def _disable_all_loggers() -> None:
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})


def _patch_linear() -> None:
    nn.Linear.forward = lambda self, x: nn.functional.linear(x, self.weight, self.bias)  # type: ignore[method-assign]


def _patch_mse() -> None:
    nn.functional.mse_loss = lambda x, y: ((x - y) ** 2).mean()  # type: ignore[assignment]


class _NoFinder:
    """Finds no module."""

    def find_spec(self, *_: Any) -> None:
        return None


def _sleep_for_ever() -> None:
    while True:
        time.sleep(0.1)


def _leave_thread_and_child() -> None:
    threading.Thread(target=_sleep_for_ever, name="for-ever").start()
    subprocess.Popen(["sleep", "599"])


def _fork() -> None:
    """Go on twice, once a process: never from a copy, which would be a bomb."""
    if os.getpid() not in _forked:
        _forked.add(os.getpid())
        copy = os.fork()
        _forked.add(copy or os.getpid())


def _end_and_leave_a_copy() -> None:
    """End, while a copy holds everything open for some time."""
    if os.fork() == 0:
        time.sleep(30)
    os._exit(4)


WAYS: dict[str, Callable[[], Any]] = {
    "end": _end_and_leave_a_copy,
    "nothing": lambda: None,
    "evil_text": lambda: _raise(ValueError(EVIL_TEXT)),
    "keyboard": lambda: _raise(KeyboardInterrupt()),
    "system_exit": lambda: _raise(SystemExit(0)),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "no_grad": lambda: torch.set_grad_enabled(False),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "folder": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="17"),
    "umask": lambda: os.umask(0o000),
    "path": lambda: sys.path.insert(0, "/nowhere"),
    "print": lambda: setattr(builtins, "print", lambda *_, **__: None),
    "modules": lambda: sys.modules.pop("lightning_modules", None),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "stdout": lambda: setattr(sys, "stdout", None),
    "closed_stderr": lambda: os.close(2),
    "fast_path": lambda: torch.backends.mha.set_fastpath_enabled(False),
    "mkldnn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "tf32": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "half_sums": lambda: setattr(torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    "warn_always": lambda: torch.set_warn_always(True),
    "temporary": lambda: setattr(tempfile, "tempdir", "/nowhere"),
    "hook": lambda: register_module_forward_hook(lambda _, __, output: 2 * output),
    "hook_before": lambda: register_module_forward_pre_hook(lambda _, inputs: inputs),
    "swap": lambda: torch.__future__.set_swap_module_params_on_conversion(True),
    "safe_globals": lambda: torch.serialization.add_safe_globals([Plain]),
    "buffer": lambda: np.setbufsize(1024),
    "dlopen": lambda: sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL),
    "stacks": lambda: threading.stack_size(2**20),
    "finders": lambda: sys.meta_path.insert(0, _NoFinder()),
    "trainer": lambda: setattr(Trainer, "save_checkpoint", lambda *_, **__: None),
    "signal": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 600),
    "warnings": lambda: warnings.simplefilter("error"),
    "loggers": _disable_all_loggers,
    "logging": lambda: logging.disable(logging.CRITICAL),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 3),
    "numpy": lambda: np.seterr(all="raise"),
    "random": lambda: setattr(random, "random", lambda: 0.5),
    "linear": _patch_linear,
    "mse": _patch_mse,
    "own_class": lambda: setattr(Leaves, "calls", Leaves.calls + 1),
    "interop": lambda: torch.set_num_interop_threads(torch.get_num_interop_threads() + 1),
    "thread": lambda: threading.Thread(target=_sleep_for_ever, name="for-ever").start(),
    "child": lambda: subprocess.Popen(["sleep", "600"]),
    "fork": _fork,
    "thread_and_child": _leave_thread_and_child,
}

VALUES: dict[str, Callable[[], Any]] = {
    "plain": lambda: 1.5,
    "bool": lambda: True,
    "integer": lambda: torch.tensor(3),
    "half": lambda: torch.tensor(70000.0).half(),
    "complex": lambda: torch.tensor(1 + 2j),
    "python_complex": lambda: 1 + 2j,
    "text": lambda: "1.5",
    "several": lambda: torch.ones(3),
    "sparse": lambda: torch.ones(1).to_sparse(),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.quint8),
    "meta": lambda: torch.ones((), device="meta"),
    "huge": lambda: 10**400,
    "none": lambda: None,
}
