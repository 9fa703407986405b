"""Builds the objects of a config's `_target_` keys, and finds targets that cannot be built.

`_target_` runs any callable: run only configs that you trust.

An optimizer or a learning-rate scheduler needs parameters that exist only inside the module. So it is always built as a
partial, whether or not its config says `_partial_: true`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import hydra
import torch

from studies.config.parsing.renamed import key_now
from studies.config.targets import TargetBroken, find_target, named_arguments, signature_of, where_it_ends
from studies.errors import Problems, nearest
from studies.trial.building.mixing import in_package, mixing_problems
from studies.trial.building.package import Package, name_of, package_of_target

PARTIAL = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
MANY = 3  # so many unknown arguments are another model's, not slips
HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def instantiate(node: Mapping[str, Any], **extra: Any) -> Any:
    """Build the object that `node` (plain values, interpolations resolved) describes."""
    return hydra.utils.instantiate(_with_partials(node), _convert_="all", **extra)


def callback_of(package: Package, node: Mapping[str, Any]) -> Any:
    """Build the callback that `node` describes. A class without a base of either package becomes one of `package`."""
    kind: Any = find_target(str(node["_target_"]))
    if not inspect.isclass(kind) or name_of(kind) is not None or node.get("_partial_"):
        return instantiate(in_package(package, node))
    arguments = instantiate({**node, "_target_": "builtins.dict"})
    return package.callback(kind)(**arguments)


def binding_problems(config: Mapping[str, Any], problems: Problems) -> None:
    """Note each `_target_` in `config` that cannot be imported, does not take its arguments, or is of the wrong
    package.

    The wrong package is the Lightning package that the model does not use.
    """
    package = package_of_target((config.get("model") or {}).get("_target_"))
    trainer = {"_target_": f"{package.name}.Trainer", **(config.get("trainer") or {})}
    for path, node in _targets({**config, "trainer": trainer, "vars": {}}, ""):
        if not isinstance(node["_target_"], str):
            complaint = f"is {node['_target_']!r}, which is no text"
            problems.add(f"{path}._target_", complaint, "give the dotted name of a class or function")
            continue
        try:
            target = find_target(node["_target_"])
        except TargetBroken as error:
            complaint = f"is {node['_target_']!r}, whose import fails ({error})"
            problems.add(f"{path}._target_", complaint, "correct that module")
            continue
        if target is None:
            problems.add(f"{path}._target_", f"is {node['_target_']!r}, which does not import", _why(node["_target_"]))
        else:
            _check_arguments(path, node, target, problems)
    mixing_problems(config, problems)


def _why(name: str) -> str:
    """Return the remedy for a dotted name that leads nowhere."""
    if (now := key_now(name)) is not None:
        return f"it is called {now} now"
    module, (lacking, *_) = where_it_ends(name)
    if module is None:
        return "give the dotted name of a class or function that can be imported (is its folder on PYTHONPATH?)"
    close = get_close_matches(lacking, dir(module), n=1)
    return f"{module.__name__} has no {lacking}" + (f": did you mean {close[0]}?" if close else "")


def _check_arguments(path: str, node: Mapping[str, Any], target: Any, problems: Problems) -> None:
    signature = signature_of(target)
    if signature is None:
        return
    explicit = named_arguments(signature)
    swallows = any(parameter.kind == parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    given = {str(key): value for key, value in node.items() if key not in HYDRA_KEYS}
    refused = [] if swallows else [key for key in given if key not in explicit]
    if path == "model" and len(refused) >= MANY:
        complaint = f"holds {', '.join(refused)}, which are no arguments of {node['_target_']}: another model's?"
        remedy = "take `override /model: null` among the file's defaults, or write it as an option of its own, "
        remedy += "conf/model/NAME.yaml, and take that by override /model: NAME (docs/procedures.md shows one)"
        problems.add(path, complaint, remedy)
        return
    for key in refused:
        problems.add(f"{path}.{key}", f"is not an argument of {node['_target_']}", nearest(key, explicit))
    for key in given:
        wanted = signature.parameters[key].annotation if key in explicit else None
        if isinstance(given[key], bool) and wanted in (str, "str"):
            complaint = f"is {str(given[key]).lower()}, where {node['_target_']} takes a text"
            problems.add(f"{path}.{key}", complaint, "quote the word: YAML reads no, off, yes and on as true or false")
    if refused or is_partial(node, target):
        return
    try:
        signature.bind(*node.get("_args_", ()), **given)
    except TypeError as error:
        problems.add(path, f"does not fit {node['_target_']} ({error})", f"its arguments are {', '.join(explicit)}")


def is_partial(node: Mapping[str, Any], target: Any) -> bool:
    """Return whether `node` is built as a partial."""
    return bool(node.get("_partial_")) or (inspect.isclass(target) and issubclass(target, PARTIAL))


def _with_partials(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_partials(value) for value in node]
    if not isinstance(node, Mapping):
        return copy.deepcopy(node)
    built = {key: _with_partials(value) for key, value in node.items()}
    if "_target_" in built and is_partial(built, find_target(built["_target_"])):
        built["_partial_"] = True
    return built


def _targets(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if node.get("_target_") is not None:
            yield path, node
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _targets(value, f"{path}.{i}")
