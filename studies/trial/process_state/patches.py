"""Functions and classes of libraries, or a user's own, that a trial has replaced.

Watched are modules with functions that a training computes with, the classes of layers, optimizers and losses, and
Lightning's own. Not counted as a patch are additions, replacements by a library in itself (as torch.compile makes
them), and values in place of None.
"""

from __future__ import annotations

import inspect
import math
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional
import torch.utils.data

from studies.trial.building.package import loaded
from studies.trial.process_state.setting import copied, replaced

MODULES = (
    *(torch, torch.nn, torch.nn.functional, torch.nn.init, torch.optim, torch.optim.lr_scheduler, torch.utils.data),
    *(torch.linalg, torch.fft, torch.autograd, torch.distributions, np, np.random, random, time, math, os),
)
OF_CLASSES = (torch.nn, torch.optim)
SINGLE = (torch.Tensor, torch.autograd.Function)
OF_LIGHTNING = ("Trainer", "LightningModule", "LightningDataModule", "Callback")
LIBRARIES = (
    "torch",
    "numpy",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "torchmetrics",
    "optuna",
    "studies",
)


class Patches:
    """The present members of the watched modules and classes. `own` are classes of a user to watch as well."""

    def __init__(self, own: Sequence[type] = ()) -> None:
        lightning = [package.find(name) for package in loaded() for name in OF_LIGHTNING]
        watched = (*_watched(), *((_name_of(one), one) for one in (*lightning, *own)))
        self._before = [(name, owner, copied(name, vars(owner))) for name, owner in watched]

    def put_back(self) -> list[str]:
        """Restore the replaced members, and return their names."""
        names = []
        for module, owner, before in self._before:
            for name, value in _replaced(owner, before):
                setattr(owner, name, value)
                names.append(f"{module}.{name}")
        return names


@cache
def _watched() -> tuple[tuple[str, Any], ...]:
    classes = {one for module in OF_CLASSES for one in vars(module).values() if isinstance(one, type)}
    ours = [one for one in classes if one.__module__.startswith("torch.")]
    return tuple((_name_of(owner), owner) for owner in (*MODULES, *SINGLE, *ours))


def _replaced(owner: Any, before: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    now = vars(owner)
    for name, value in replaced(before, now):
        if value is not None and not name.startswith("__") and not _is_of_library(now.get(name)):
            yield name, value


def _is_of_library(value: Any) -> bool:
    """Return whether a library has defined `value`. Of a function its code decides, not its name."""
    value = getattr(value, "__func__", getattr(value, "fget", None) or value)
    if not callable(value) and not isinstance(value, ModuleType):
        return False
    home = value.__globals__["__name__"] if inspect.isfunction(value) else getattr(value, "__module__", None)
    return str(home or getattr(value, "__name__", "")).partition(".")[0] in LIBRARIES


def _name_of(owner: Any) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)
