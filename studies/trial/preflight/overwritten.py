"""Finds searched parameters without effect, because a finder of Lightning overwrites them. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.space import SearchSpace

NAMED_BY = {"LearningRateFinder": "attr_name", "BatchSizeFinder": "batch_arg_name"}
ATTRIBUTES = {"LearningRateFinder": ("lr", "learning_rate"), "BatchSizeFinder": ("batch_size",)}
ROOTS = ("model", "datamodule")  # a finder sets attributes of these


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
