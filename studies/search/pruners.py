"""Pruners: when a trial is stopped early. All of them compare trials at the same rung, counted from 1.

With two objectives the first one decides, by our own rule (`studies.search.rung_rule`).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from studies.config.parsing.section import is_number
from studies.config.settings import Named, ObjectiveSettings
from studies.errors import Problems, nearest
from studies.search.options import check_kinds
from studies.search.rung_rule import make_rule

PRUNERS: Mapping[str, type[BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "patient": optuna.pruners.PatientPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}
RULES = ("median", "percentile", "asha", "patient", "threshold")  # that two objectives may have
OURS = ("max_resource", "wrapped_pruner")


def make_pruner(pruner: Named, objective: ObjectiveSettings, *, rungs: int) -> BasePruner:
    """Return the Optuna pruner of a study whose trials have so many `rungs`."""
    name, options = pruner.name, _options(pruner, rungs)
    if name == "hyperband":
        options["max_resource"] = rungs
    if name == "patient":
        options["wrapped_pruner"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if objective.second is not None and name in RULES:
            return make_rule(PRUNERS[name], options, last=rungs)
        made = PRUNERS[name](**options)
    return WholeStudy(made) if name == "hyperband" else made


class WholeStudy(BasePruner):
    """A wrapper of Hyperband that lets the sampler see the whole study.

    With a HyperbandPruner, Optuna shows the sampler only the trials of the new trial's bracket. Our slots are counted
    over all trials, and the model learns across brackets.
    """

    def __init__(self, pruner: BasePruner) -> None:
        self.pruner = pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether `trial` is to stop, by the rules of its bracket."""
        return self.pruner.prune(study, trial)


def check_pruner(pruner: Named, objective: ObjectiveSettings, problems: Problems, *, rungs: int) -> None:
    """Note unknown options of the pruner, and values that it refuses."""
    name, options = pruner.name, pruner.options
    known = [key for key in inspect.signature(PRUNERS[name]).parameters if key not in OURS]
    unknown = [option for option in options if option not in known]
    for option in unknown:
        problems.add(f"pruner.{option}", f"is not an option of {name}", nearest(option, known))
    if objective.second is not None and name not in (*RULES, "none"):
        problems.add("pruner", f"is {name} but there are two objectives", f"use one of {', '.join(RULES)}, or none")
        return
    n_before = len(problems.found)
    check_kinds("pruner", options, inspect.signature(PRUNERS[name]).parameters, problems)
    first = options.get("min_resource")
    if objective.second is not None and name == "asha" and not isinstance(first, int):
        problems.add("pruner.min_resource", f"is {first!r} but there are two objectives", "give a number of rungs")
    if is_number(first) and first > rungs:
        problems.add("pruner.min_resource", f"is {first} for {rungs} rungs", "give no more than the trial has rungs")
    if not unknown and len(problems.found) == n_before:
        try:
            make_pruner(pruner, objective, rungs=rungs)
        except (TypeError, ValueError) as error:
            problems.add("pruner", f"is {name}, which refuses its options", str(error))


def pruner_notes(pruner: Named, objective: ObjectiveSettings, *, rungs: int) -> list[str]:
    """Tell before a study runs what its pruner will not do."""
    name, warm_up = pruner.name, _options(pruner, rungs).get("n_warmup_steps", 0)
    if name != "none" and (rungs == 1 or warm_up >= rungs):
        return [f"{name} never stops a trial: it has {rungs} rungs, and the first {max(warm_up, 1)} are not judged"]
    if name != "none" and objective.second is not None:
        return [
            f"{name} compares trials by {objective.metric} alone: the front may lack configurations that are "
            f"worse in it and better in {objective.second.metric} (pruner=none keeps them)"
        ]
    return []


def _options(pruner: Named, rungs: int) -> dict[str, Any]:
    """Return the pruner's options. A warm-up of null is half of the rungs."""
    options = dict(pruner.options)
    if "n_warmup_steps" in options and options["n_warmup_steps"] is None:
        options["n_warmup_steps"] = rungs // 2
    return options
