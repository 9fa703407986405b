"""A procedure: a trial that is no Lightning training, but any function of a configuration.

Where `model._target_` names a class with a method `run` that is no LightningModule, a trial builds it with the point's
arguments and runs it, instead of a Trainer. All else is as for trainings: designs and searches, replicates as seeds,
the exact budget over any number of workers, leases, retries, pruning, resume and the report.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from studies.config.settings import StudySettings
from studies.config.targets import TargetBroken, find_target
from studies.errors import Problem


class Report(Protocol):
    """Takes the value at each rung, as the trial goes on."""

    def __call__(self, rung: int, value: float) -> bool:
        """Note the `value` of the metric at `rung`: 1, then 2, and so on to the last. True: return now, for a pruner
        stops the trial, its time is up, or the value is not finite.

        Raises ValueError for a rung that is not the next.
        """


class Procedure(Protocol):
    """What `model._target_` names: no base class is needed, the method is enough."""

    def run(
        self, *, seed: int, n_rungs: int, report: Report, interrupted: Callable[[], str | None]
    ) -> Mapping[str, Any] | None:
        """Do the work under `seed`, telling `report` the value at each of `n_rungs` equal fractions of it.

        The trial's value is one of those, as `objective.value` says. What is returned is kept with the trial as its
        `result`: a mapping of names to plain values (what JSON can hold). Where a rung takes long, look at
        `interrupted` in between, and return once it names a reason: such a trial is tried again.
        """


def is_procedure(config: Mapping[str, Any]) -> bool:
    """Whether `model` of a trial's resolved config is a procedure. A target that cannot be imported is none."""
    name = (config.get("model") or {}).get("_target_")
    try:
        target = find_target(str(name))
    except TargetBroken:
        return False
    return inspect.isclass(target) and callable(getattr(target, "run", None)) and not hasattr(target, "training_step")


def misplaced(settings: StudySettings, config: Mapping[str, Any]) -> list[Problem]:
    """The settings that ask of a procedure what only a training can do."""
    name = config["model"]["_target_"]
    of_trainings = {
        "datamodule": (config.get("datamodule"), "set datamodule=none; a procedure brings its own data"),
        "callbacks": (_given(config, "callbacks"), "remove them; they are called by Lightning"),
        "loggers": (_given(config, "loggers"), "remove them; they are called by Lightning"),
        "links": (settings.links, "remove them; they read a data module"),
        "objective.test": (settings.objective.test, "set it to false, and return what is tested as a result"),
        "objective.second": (_asks_of_training(settings), "give seconds, or null"),
        "launcher.devices_per_trial": (settings.devices_per_trial > 1, "give 1"),
    }
    complaint = f"does nothing for {name}, which is a procedure and no LightningModule"
    return [Problem(key, complaint, remedy) for key, (given, remedy) in of_trainings.items() if given]


def _asks_of_training(settings: StudySettings) -> bool:
    """Whether the second objective is a figure that only a training has."""
    second = settings.objective.second
    return second is not None and second.metric != "seconds"


def _given(config: Mapping[str, Any], group: str) -> bool:
    return any(member is not None for member in (config.get(group) or {}).values())
