"""Builds the objects that a config names by `_target_`, and finds the targets that cannot be built.

`_target_` runs whatever callable it names: run only configs that you trust.

An optimizer or a learning-rate scheduler needs parameters that exist only inside the module, so it is always built as
a partial, whether or not its config says `_partial_: true`.
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import hydra
import torch

from studies.errors import Problems, nearest

PARTIAL = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def instantiate(node: Mapping[str, Any], **extra: Any) -> Any:
    """The object that `node` (plain values, interpolations resolved) describes."""
    return hydra.utils.instantiate(_with_partials(node), _convert_="all", **extra)


def binding_problems(config: Mapping[str, Any], problems: Problems, *, named: Collection[str] = ()) -> None:
    """Note each `_target_` in `config` that does not import or does not take its arguments.

    `named`: paths that the search space writes; an argument there has to be named in the callable's signature, since
    a `**kwargs` that swallows it would ignore the parameter silently.
    """
    trainer = {"_target_": "pytorch_lightning.Trainer", **(config.get("trainer") or {})}
    for path, node in _targets({**config, "trainer": trainer}, ""):
        target = _import(node["_target_"])
        if target is None:
            remedy = "give the dotted name of a class or function that can be imported (is its folder on PYTHONPATH?)"
            problems.add(f"{path}._target_", f"is {node['_target_']!r}, which does not import", remedy)
            continue
        _check_arguments(path, node, target, problems, named=named)


def _check_arguments(
    path: str, node: Mapping[str, Any], target: Callable[..., Any], problems: Problems, *, named: Collection[str]
) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return  # a callable of compiled code that does not tell its arguments
    parameters = signature.parameters
    explicit = [name for name, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    swallows = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    given = [str(key) for key in node if key not in HYDRA_KEYS]
    refused = [key for key in given if key not in explicit and (not swallows or f"{path}.{key}" in named)]
    for key in refused:
        problems.add(f"{path}.{key}", f"is not an argument of {node['_target_']}", nearest(key, explicit))
    if refused or is_partial(node, target):
        return
    try:
        signature.bind(*node.get("_args_", ()), **{key: node[key] for key in given})
    except TypeError as error:
        problems.add(path, f"does not fit {node['_target_']} ({error})", f"its arguments are {', '.join(explicit)}")


def is_partial(node: Mapping[str, Any], target: Any) -> bool:
    """Whether `node` is built as a partial."""
    return bool(node.get("_partial_")) or (inspect.isclass(target) and issubclass(target, PARTIAL))


def _with_partials(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_partials(value) for value in node]
    if not isinstance(node, Mapping):
        return copy.deepcopy(node)
    built = {key: _with_partials(value) for key, value in node.items()}
    if "_target_" in built and is_partial(built, _import(built["_target_"])):
        built["_partial_"] = True
    return built


def _targets(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield path, node
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _targets(value, f"{path}.{i}")


def _import(name: str) -> Any:
    """The object with this dotted name, or None where there is none."""
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and not f"{module_name}.".startswith(f"{error.name}."):
                raise
            continue
        for part in parts[split:]:
            found = getattr(found, part, None)
        return found
    return None
