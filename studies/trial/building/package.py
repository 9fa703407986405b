"""The Lightning package of a trial: `pytorch_lightning` or `lightning.pytorch`.

Context: both packages hold the same code under two names, and a Trainer of one refuses a module of the other. Choice: a
trial takes its Trainer, its seeding and the base of our callbacks from the module's package. Our callbacks are plain
classes until `Package.callback` adds that base. Cost: a worker with modules of `lightning.pytorch` imports both
packages, because the fork server has loaded the other one already.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from studies.config.targets import target_of

NAMES = ("pytorch_lightning", "lightning.pytorch")  # the first one where an object derives from neither
FABRICS = ("lightning_fabric", "lightning.fabric")
SHARED = ("LightningModule", "LightningDataModule", "Callback", "Logger", "Trainer")  # a class is recognised by them

BetweenBatches = Callable[[Any, bool], bool]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Package:
    """One of the two packages. Its members are imported when they are asked for."""

    name: str

    @property
    def sigterm(self) -> type[BaseException]:
        """Return the exception by which the Trainer stops on a signal."""
        found: type[BaseException] = self.find("utilities.exceptions.SIGTERMException")
        return found

    def find(self, path: str) -> Any:
        """Return the member at the dotted `path` below the package. Raises AttributeError where there is none."""
        module, _, member = f"{self.name}.{path}".rpartition(".")
        return getattr(importlib.import_module(module), member)

    def seed_everything(self, seed: int) -> None:
        """Seed the global generators of Python, numpy and torch, and those of a DataLoader's workers."""
        self.find("seed_everything")(seed, workers=True, verbose=False)

    def is_overridden(self, method: str, instance: object) -> bool:
        """Return whether a module or data module of this package defines `method` itself."""
        return bool(self.find("utilities.model_helpers.is_overridden")(method, instance))

    def callback(self, kind: type[T]) -> type[T]:
        """Return `kind`, one of our plain callback classes, as a callback of this package."""
        if (self.name, kind) not in _DERIVED:
            members = {"__module__": kind.__module__, "__doc__": kind.__doc__}
            _DERIVED[self.name, kind] = type(kind.__name__, (kind, self.find("Callback")), members)
        return _DERIVED[self.name, kind]


_DERIVED: dict[tuple[str, type], type[Any]] = {}  # one class a package: instances have equal types


def package_of(instance: object) -> Package | None:
    """Return the package that `instance` derives from. For a wrapper such as a compiled module, that of its content."""
    children = getattr(instance, "children", None)
    inside = list(children()) if inspect.ismethod(children) else []
    names = (name_of(type(candidate)) for candidate in (instance, *inside))
    return next((Package(name) for name in names if name is not None), None)


def name_of(kind: type) -> str | None:
    """Return the name of the package that a class derives from, None for neither."""
    for base in inspect.getmro(kind):
        name = next((name for name in NAMES if f"{base.__module__}.".startswith(f"{name}.")), None)
        if name is not None and base.__name__ in SHARED:
            return name
    return None


def package_of_target(name: object) -> Package:
    """Return the package of the class that `_target_` names.

    A function does not tell its result's package. Then it is the imported package, and `pytorch_lightning` if both or
    neither are imported.
    """
    target = target_of({"_target_": name})
    found = name_of(target) if inspect.isclass(target) else None
    return Package(found or next((known for known in NAMES if known in sys.modules), NAMES[0]))


def loaded() -> list[Package]:
    """Return the packages that this process has imported."""
    return [Package(name) for name in NAMES if name in sys.modules]


def loaders_in(collection: Any, trainer: object) -> list[Any]:
    """Return the loaders of a collection in the order of `trainer`."""
    package = package_of(trainer)
    assert package is not None
    loaders: list[Any] = package.find("utilities.combined_loader.CombinedLoader")(collection).flattened
    return loaders


def unwrapped(package: Package, module: Any) -> Any:
    """Return the LightningModule inside `torch.compile(module)`, as `Trainer.fit` does. Return others as they are.

    The computation stays compiled.
    """
    if isinstance(module, package.find("LightningModule")):
        return module
    try:
        return package.find("utilities.compile.from_compiled")(module)
    except ValueError:  # no compiled module: the Trainer reports it
        return module


@cache
def trainer_class(package: Package) -> Any:
    """Return the Trainer of `package` with a hook between two batches, where one is done and the next has not begun.

    `between_batches(trainer, stopping) -> bool` is called there, also after each epoch and between the batches of a
    validation. `stopping` says that Lightning itself was told to stop (SIGTERM). If it returns True, `fit` raises
    Lightning's SIGTERMException. The class keeps Lightning's name, which finds PL_TRAINER_… in the environment by it.
    """
    base: Any = package.find("Trainer")

    class Trainer(base):  # type: ignore[misc]  # one of two classes, known only now
        between_batches: BetweenBatches = staticmethod(lambda _trainer, stopping: stopping)

        @property
        def received_sigterm(self) -> bool:
            """Return whether to stop here. Lightning has no hook at this point, only this question."""
            return self.between_batches(self, super().received_sigterm)

    return Trainer
