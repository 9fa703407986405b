"""Refuses metrics that are no real numbers. The message names the metric."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule


class NotReal(Exception):
    """The metric `name` was logged as a value that is no real number. `what` describes it."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name} is {what}, and a metric is one real number")
        self.name = name
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.what)


def real(name: str, value: Any) -> float:
    """Return the metric `value` as a float. Raises `NotReal`."""
    refuse_unreal(name, value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise NotReal(name, f"no number ({error})") from None


def refuse_unreal(name: str, value: Any) -> None:
    """Raise `NotReal` where a part of `value` would be lost or cannot be read."""
    what = _unreal(value)
    if what is not None:
        raise NotReal(name, what)


def guard_metrics(module: LightningModule, names: Collection[str] | None = None) -> None:
    """Have `module.log` refuse values that are no real numbers under one of `names`, by default under any name."""
    module.log = partial(_log, module.log, names)  # type: ignore[method-assign]  # picklable with the module


def _log(
    log: Callable[..., None], names: Collection[str] | None, name: str, value: Any, *arguments: Any, **options: Any
) -> None:
    if names is None or name in names:
        refuse_unreal(name, value)
    log(name, value, *arguments, **options)


def _unreal(value: Any) -> str | None:
    if isinstance(value, str):
        return f"the text {value[:50]!r}"
    if isinstance(value, Complex) and not isinstance(value, Real):  # NumPy's too
        return f"complex ({value})"
    if not isinstance(value, torch.Tensor):
        return None  # a number, or a metric of torchmetrics
    if value.numel() != 1:
        return f"a tensor of {value.numel()} elements"
    if value.is_meta:
        return "a tensor on the device meta, which holds no value"
    if value.is_quantized or value.layout != torch.strided:
        return f"a {'quantized' if value.is_quantized else 'sparse'} tensor"
    return f"complex ({value.item()})" if value.is_complex() else None
