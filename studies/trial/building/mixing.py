"""Finds pieces of both Lightning packages in one trial. A class of either package is exchanged, all else is refused.

A class of the packages themselves, such as `EarlyStopping`, is the same code in both. So the one of the module's
package is built. A data module, callback or logger that a user derived from the other package cannot be exchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from studies.config.targets import target_of
from studies.errors import Problems
from studies.trial.building.package import NAMES, Package, name_of, package_of

PIECES = ("datamodule", "callbacks", "loggers")


class PackagesMixed(TypeError):
    """A piece of a trial derives from another Lightning package than its module."""


def in_package(package: Package, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config `node` with the class of `package` in place of the other package's class of that name."""
    return {**node, "_target_": _twin(package, str(node["_target_"]))}


def refuse_mixing(package: Package, module: object, pieces: Iterable[object]) -> None:
    """Raise `PackagesMixed` where one of `pieces` derives from another package than the module."""
    for piece in pieces:
        other = package_of(piece)
        if other not in (None, package):
            raise PackagesMixed(_sentence(type(piece), other.name, type(module), package.name))


def mixing_problems(config: Mapping[str, Any], problems: Problems) -> None:
    """Note each data module, callback and logger in `config` that is of another package than the module.

    `config` is a trial's resolved config. Only classes are checked: the result of a function shows when it is called.
    """
    model = _class_of(config.get("model"))
    name = name_of(model) if model is not None else None
    if model is None or name is None:
        return
    for path, node in _pieces(config):
        kind = _class_of(node if path == "datamodule" else in_package(Package(name), node))
        other = name_of(kind) if kind is not None else None
        if kind is not None and other not in (None, name):
            remedy = f"derive it from {name}, or the model from {other}"
            problems.add(f"{path}._target_", f"is {_sentence(kind, other, model, name)}", remedy)


def exchanged(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each class of the other package that is exchanged for the one of the module's package."""
    model = _class_of(config.get("model"))
    name = name_of(model) if model is not None else None
    if model is None or name is None:
        return []
    targets = [(path, str(node["_target_"])) for path, node in _pieces(config) if path != "datamodule"]
    model_name = f"{model.__module__}.{model.__qualname__}"
    return [
        f"{path} is {target}, and the model {model_name} derives from {name}: {twin} takes its place"
        for path, target in targets
        if (twin := _twin(Package(name), target)) != target
    ]


def _pieces(config: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found = []
    for group in PIECES:
        node = config.get(group) or {}
        members = {group: node} if "_target_" in node else {f"{group}.{key}": member for key, member in node.items()}
        found += [(path, member) for path, member in members.items() if isinstance(member, Mapping)]
    return [(path, member) for path, member in found if "_target_" in member]


def _class_of(node: Any) -> type | None:
    found = target_of(node)
    return found if inspect.isclass(found) else None


def _twin(package: Package, target: str) -> str:
    for other in NAMES:
        if other != package.name and target.startswith(f"{other}."):
            return package.name + target.removeprefix(other)
    return target


def _sentence(kind: type, name: str | None, model: type, of_model: str) -> str:
    piece, owner = (f"{k.__module__}.{k.__qualname__}" for k in (kind, model))
    return f"{piece}, which derives from {name}, and the model {owner} derives from {of_model}"
