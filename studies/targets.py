"""Looks up the callables that a config names by `_target_`, and the arguments that they name themselves."""

from __future__ import annotations

import importlib
import inspect
from typing import Any


def find_target(name: str) -> Any:
    """The object with this dotted name, or None where there is none. Imports what it has to."""
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
    target = find_target(target_name)
    signature = signature_of(target) if target is not None else None
    return signature is None or argument in named_arguments(signature)
