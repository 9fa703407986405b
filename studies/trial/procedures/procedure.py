"""A procedure: a trial that is no Lightning training, but any function of a configuration.

`model._target_` may name a class with a method `run` that is no LightningModule. Then a trial builds it with the
point's arguments and runs it, instead of a Trainer. All else is as for trainings: designs and searches, replicates as
seeds, the exact budget over any number of workers, leases, retries, pruning, resume and the report.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from studies.config.settings import ObjectiveSettings
from studies.config.targets import target_of
from studies.errors import Problem


class Report(Protocol):
    """Takes the value at each rung during the trial."""

    def __call__(self, rung: int, value: float) -> bool:
        """Note the `value` of the metric at `rung`: 1, then 2, and so on to the last.

        Returns True if the procedure has to return now: a pruner stops the trial, its time is up, or the value is not
        finite. Raises ValueError for a rung that is not the next.
        """


class Procedure(Protocol):
    """The class that `model._target_` names. It needs no base class: the method is enough."""

    def run(
        self, *, seed: int, n_rungs: int, report: Report, interrupted: Callable[[], str | None]
    ) -> Mapping[str, Any] | None:
        """Do the work under `seed`, telling `report` the value at each of `n_rungs` equal fractions of it.

        The trial's value is one of those, as `objective.value` says. The returned mapping of names to plain values (as
        JSON holds them) is kept with the trial as its `result`. Where a rung takes long, ask `interrupted` in between,
        and return once it gives a reason: such a trial is tried again.
        """


def is_procedure(config: Mapping[str, Any]) -> bool:
    """Return whether `model` of a trial's resolved config is a procedure. A target that cannot be imported is none."""
    target = target_of(config.get("model"))
    return inspect.isclass(target) and callable(getattr(target, "run", None)) and not hasattr(target, "training_step")


def misplaced(
    config: Mapping[str, Any], *, objective: ObjectiveSettings, has_links: bool, devices_per_trial: int
) -> list[Problem]:
    """Return the settings that do nothing for the procedure in `config`, because only a training uses them."""
    second = objective.second
    of_trainings = {
        "datamodule": (config.get("datamodule"), "set datamodule=none; a procedure brings its own data"),
        "callbacks": (_given(config, "callbacks"), "remove them; they are called by Lightning"),
        "loggers": (_given(config, "loggers"), "remove them; they are called by Lightning"),
        "links": (has_links, "remove them; they read a data module"),
        "objective.test": (objective.test, "set it to false, and return what is tested as a result"),
        "objective.second": (second is not None and second.metric != "seconds", "give seconds, or null"),
        "launcher.devices_per_trial": (devices_per_trial > 1, "give 1"),
    }
    complaint = f"does nothing for {config['model']['_target_']}, which is a procedure and no LightningModule"
    return [Problem(key, complaint, remedy) for key, (given, remedy) in of_trainings.items() if given]


def _given(config: Mapping[str, Any], group: str) -> bool:
    return any(member is not None for member in (config.get(group) or {}).values())
