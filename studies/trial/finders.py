"""Lightning's finders of a learning rate and a batch size: their results, and the searched parameters they overwrite.

A finder trains for some steps inside `fit`, saves before and restores after. A resumed trial takes the results from its
checkpoint: a new search would start from trained weights and undo the restoring.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.space import SearchSpace
from studies.trial.building.package import Package

log = logging.getLogger(__name__)
SIZE = "BatchSizeFinder"
NAMED_BY = {"LearningRateFinder": "attr_name", "BatchSizeFinder": "batch_arg_name"}
ATTRIBUTES = {"LearningRateFinder": ("lr", "learning_rate"), "BatchSizeFinder": ("batch_size",)}
ROOTS = ("model", "datamodule")  # a finder sets attributes of these


class Finders:
    """The finders among a trial's callbacks. `given` holds the callbacks of the config with their nodes."""

    def __init__(self, package: Package, given: Sequence[tuple[Any, Mapping[str, Any]]]) -> None:
        self._package = package
        self._given = given
        self._logged: dict[str, float] = {}

    def leave_out(self, trainer: Any) -> None:
        """Remove the finders that would search at the beginning of the fit. Keep those that search later."""
        trainer.callbacks = [one for one in trainer.callbacks if not self._searches_first(one)]

    def found(self, trainer: Any, module: Any) -> dict[str, float]:
        """Return the module's attributes that a finder has set, by name."""
        held: dict[str, float] = {}
        for callback in trainer.callbacks:
            kind = self._kind(callback)
            if kind is not None:
                values = self._held(module, self._names(callback, kind))
                held |= {name: value for name, value in values.items() if _is_from(callback, kind, value)}
        self._log_new(held)
        return held

    def set(self, module: Any, found: Mapping[str, float]) -> None:
        """Give `module` the results of an earlier search."""
        for name, value in found.items():
            self._package.find("utilities.parsing.lightning_setattr")(module, name, value)

    def _kind(self, callback: Any) -> str | None:
        return next((kind for kind in NAMED_BY if isinstance(callback, self._class(kind))), None)

    def _class(self, kind: str) -> Any:
        return self._package.find(f"callbacks.{kind}")

    def _searches_first(self, callback: Any) -> bool:
        kind = self._kind(callback)
        return kind is not None and type(callback).on_fit_start is self._class(kind).on_fit_start

    def _names(self, callback: Any, kind: str) -> Sequence[str]:
        node = next((node for one, node in self._given if one is callback), {})
        if node.get("update_attr") is False:
            return ()
        return (str(node[NAMED_BY[kind]]),) if node.get(NAMED_BY[kind]) else ATTRIBUTES[kind]

    def _held(self, module: Any, names: Sequence[str]) -> dict[str, float]:
        has, get = (self._package.find(f"utilities.parsing.lightning_{verb}attr") for verb in ("has", "get"))
        values = {name: get(module, name) for name in names if has(module, name)}
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        return dict(list(numbers.items())[:1])

    def _log_new(self, held: Mapping[str, float]) -> None:
        for name, value in held.items():
            if self._logged.get(name) != value:
                log.info("a finder has set %s to %s", name, value)
        self._logged = dict(held)


def finder_notes(template: DictConfig, space: SearchSpace) -> list[str]:
    """Return a sentence for each searched parameter that a finder in the config overwrites."""
    return [
        f"callbacks.{key} ({kind}) overwrites {path}: the search of {parameter.name} has no effect; take it out of "
        f"search_space, or the finder out of callbacks"
        for key, kind, names in _finders(template)
        for parameter in space
        for path in parameter.paths
        if path.partition(".")[0] in ROOTS and path.rpartition(".")[2] in names
    ]


def _is_from(callback: Any, kind: str, value: float) -> bool:
    """Return whether a finder has set `value`. One that saw too few losses leaves the module its own rate."""
    if kind == SIZE:
        return True
    return callback.optimal_lr is not None and value in callback.optimal_lr.results["lr"]


def _finders(template: DictConfig) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Return the key, the kind and the attributes of each finder that sets some."""
    node = OmegaConf.select(template, "callbacks")
    callbacks: Any = OmegaConf.to_container(node, resolve=False) if node else {}
    for key, callback in callbacks.items():
        kind = str(callback.get("_target_")).rpartition(".")[2] if isinstance(callback, Mapping) else ""
        if kind in NAMED_BY and callback.get("update_attr", True):
            given = callback.get(NAMED_BY[kind])
            rates = ATTRIBUTES[kind] if kind == "LearningRateFinder" else ()  # it sets the optimizers' rates as well
            yield key, kind, (given, *rates) if given else ATTRIBUTES[kind]
