"""Builds the callbacks that a config asks for, as callbacks of the module's Lightning package."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from studies.config.targets import find_target
from studies.trial.building.instantiate import instantiate
from studies.trial.building.mixing import in_package
from studies.trial.building.package import Package, name_of


def callback_of(package: Package, node: Mapping[str, Any]) -> Any:
    """Build the callback that `node` describes. A class without a base of either package becomes one of `package`."""
    kind: Any = find_target(str(node["_target_"]))
    if not inspect.isclass(kind) or name_of(kind) is not None or node.get("_partial_"):
        return instantiate(in_package(package, node))
    arguments = instantiate({**node, "_target_": "builtins.dict"})
    return package.callback(kind)(**arguments)
