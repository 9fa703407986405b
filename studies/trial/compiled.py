"""Takes a module out of the wrapper that `torch.compile` puts around it; what it computes stays compiled."""

from __future__ import annotations

from typing import Any

from studies.trial.package import Package


def unwrapped(package: Package, module: Any) -> Any:
    """Return the LightningModule inside `torch.compile(module)`, as `Trainer.fit` would take it; others as they are."""
    if isinstance(module, package.find("LightningModule")):
        return module
    try:
        return package.find("utilities.compile.from_compiled")(module)
    except ValueError:  # no compiled module, which the Trainer says
        return module
