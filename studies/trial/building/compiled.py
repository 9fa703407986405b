"""Unwraps the module of `torch.compile`. Its computation stays compiled."""

from __future__ import annotations

from typing import Any

from studies.trial.building.package import Package


def unwrapped(package: Package, module: Any) -> Any:
    """Return the LightningModule inside `torch.compile(module)`, as `Trainer.fit` does. Return others as they are."""
    if isinstance(module, package.find("LightningModule")):
        return module
    try:
        return package.find("utilities.compile.from_compiled")(module)
    except ValueError:  # no compiled module: the Trainer reports it
        return module
