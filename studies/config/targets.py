"""Looks up the callables that a config names by `_target_`, and the arguments that they name themselves."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from studies.text.printable import described


class TargetBroken(Exception):
    """The module that holds a target fails while it is imported."""


def find_target(name: str) -> Any:
    """The object with this dotted name, or None where there is none. Imports what it has to.

    Raises `TargetBroken` where an import fails for another reason than that the module does not exist.
    """
    parts = name.split(".")
    if not all(parts):
        return None
    for split in range(len(parts) - 1, 0, -1):
        found = _find_module(".".join(parts[:split]))
        if found is not None:
            for part in parts[split:]:
                found = getattr(found, part, None)
            return found
    return None


def target_of(node: Any) -> Any:
    """Return the target of a config's `node`. None where it has none, or it cannot be imported."""
    name = node.get("_target_") if isinstance(node, Mapping) else None
    try:
        return None if name is None else find_target(str(name))
    except TargetBroken:
        return None


def where_it_ends(name: str) -> tuple[ModuleType | None, str]:
    """Return the module that a dotted name leads to, and the first member that it lacks; None where it leads to none.

    Raises `TargetBroken` like `find_target`.
    """
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        found = _find_module(".".join(parts[:split]))
        if found is not None:
            return found, parts[split]
    return None, parts[0]


def signature_of(target: Any) -> inspect.Signature | None:
    """The signature of a callable, or None where it is compiled and tells none."""
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


def named_arguments(signature: inspect.Signature) -> list[str]:
    """The arguments that a signature names; what `*args` and `**kwargs` would swallow is not among them."""
    swallowing = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, parameter in signature.parameters.items() if parameter.kind not in swallowing]


def names_argument(target_name: str, argument: str) -> bool:
    """Whether the callable of this dotted name names `argument`; True where that cannot be known from here."""
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
    except (Exception, SystemExit) as error:
        raise TargetBroken(described(error)) from error
