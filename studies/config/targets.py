"""Finds the callables behind a config's `_target_`, and the arguments that they name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from studies.process.signals import EndedBySignal
from studies.text.printable import described


class TargetBroken(Exception):
    """The module of a target fails on import."""


def find_target(name: str) -> Any:
    """Return the object with this dotted name, or None if there is none. Imports its module.

    Raises `TargetBroken` if an import fails, unless the module does not exist.
    """
    if not all(name.split(".")):
        return None
    found, members = where_it_ends(name)
    for member in members if found is not None else ():
        found = getattr(found, member, None)
    return found


def target_of(node: Any) -> Any:
    """Return the target of a config's `node`. None where it has none, or it cannot be imported."""
    name = node.get("_target_") if isinstance(node, Mapping) else None
    try:
        return None if name is None else find_target(str(name))
    except TargetBroken:
        return None


def where_it_ends(name: str) -> tuple[Any, list[str]]:
    """Return the module at the start of a dotted name, or None, and the names after it.

    Raises `TargetBroken` like `find_target`.
    """
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        found = _find_module(".".join(parts[:split]))
        if found is not None:
            return found, parts[split:]
    return None, parts


def signature_of(target: Any) -> inspect.Signature | None:
    """Return the signature of a callable, or None if compiled code has none."""
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


def named_arguments(signature: inspect.Signature) -> list[str]:
    """Return the arguments that a signature names, without `*args` and `**kwargs`."""
    swallowing = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, parameter in signature.parameters.items() if parameter.kind not in swallowing]


def names_argument(target_name: str, argument: str) -> bool:
    """Return whether the callable with this dotted name names `argument`. True if that is unknown."""
    try:
        target = find_target(target_name)
    except TargetBroken:
        return True
    signature = signature_of(target) if target is not None else None
    return signature is None or argument in named_arguments(signature)


def _find_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise TargetBroken(described(error)) from error
    except EndedBySignal:
        raise
    except (Exception, SystemExit) as error:
        raise TargetBroken(described(error)) from error
