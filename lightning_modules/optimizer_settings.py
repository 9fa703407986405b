"""Sets the options of optimizers from outside, for modules with the learning rate written in code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch.optim.lr_scheduler import LRScheduler

RATES = ("lr", "initial_lr", "max_lr", "min_lr")  # of a parameter group: the ends of a schedule
BASES = ("base_lrs", "max_lrs")  # the same in the schedules themselves; their floors stay


class OptimizerSettings:
    """Sets options of the module's optimizers after `configure_optimizers` and before the first step.

    An option that is None stays as the module sets it. `options` are further ones by name, such as `{rho: 0.9}`. By
    default they are set in every parameter group of every optimizer. `optimizer` and `group` are the index of a single
    one. A schedule keeps its shape: `lr` is its peak, and its other rates are scaled with it, except for a floor. A
    resumed training keeps the options of its checkpoint.

    It belongs to neither Lightning package. A study makes it a callback of the package of its module. For a Trainer of
    your own, derive from it and from `Callback`.

    Raises ValueError at the start of the training if there is no such optimizer, group or option.
    """

    def __init__(
        self,
        lr: float | None = None,
        weight_decay: float | None = None,
        momentum: float | None = None,
        eps: float | None = None,
        optimizer: int | None = None,
        group: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        named = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "eps": eps, **(options or {})}
        self._options = {name: value for name, value in named.items() if value is not None}
        self._optimizer = optimizer
        self._group = group

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Set the options. A checkpoint is restored after this, so its options win."""
        if not self._options:
            return
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        for index, optimizer in _chosen(trainer.optimizers, self._optimizer, "optimizer"):
            groups = _chosen(optimizer.param_groups, self._group, f"group of optimizer {index}")
            for position, group in groups:
                self._set(group, f"optimizer {index} ({type(optimizer).__name__})")
                if "lr" in self._options:
                    followers = [s for s in schedulers if getattr(s, "optimizer", None) is optimizer]
                    _scale(group, position, self._options["lr"], followers)

    def _set(self, group: dict[str, Any], owner: str) -> None:
        for name, value in self._options.items():
            if name not in group or name == "params":
                known = ", ".join(sorted(key for key in group if key not in ("params", "param_names", *RATES[1:])))
                raise ValueError(f"{owner} has no option {name}: it has {known}")
            if name != "lr":
                group[name] = tuple(value) if isinstance(group[name], tuple) else value


def _chosen(members: list[Any], index: int | None, name: str) -> list[tuple[int, Any]]:
    every = list(enumerate(members))
    if index is None:
        return every
    if not 0 <= index < len(members):
        raise ValueError(f"there is no {name} with index {index}: there are {len(members)}")
    return [every[index]]


def _scale(group: dict[str, Any], position: int, lr: float, schedulers: list[Any]) -> None:
    """Scale all rates of a group and of its schedules to the peak `lr`."""
    cycles = [scheduler.max_lrs[position] for scheduler in schedulers if hasattr(scheduler, "max_lrs")]
    peak = group.get("max_lr") or next(iter(cycles), group.get("initial_lr", group["lr"]))
    if not peak:
        group |= dict.fromkeys(RATES[:2], lr) if "initial_lr" in group else {"lr": lr}
        peak = lr
    factor = float(lr) / float(peak)
    for name in RATES:
        if name in group:
            group[name] = group[name] * factor
    for scheduler in (inner for outer in schedulers for inner in _nested(outer)):
        for name in BASES:
            rates = getattr(scheduler, name, None)
            if isinstance(rates, list) and position < len(rates):
                rates[position] = rates[position] * factor


def _nested(scheduler: Any) -> Iterator[Any]:
    """Yield a scheduler and the schedulers inside it, such as the phases of a SequentialLR."""
    yield scheduler
    for value in vars(scheduler).values():
        for inner in value if isinstance(value, list | tuple) else ():
            if isinstance(inner, LRScheduler):
                yield from _nested(inner)
