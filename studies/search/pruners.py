"""Pruners: when a trial is stopped early. All of them compare trials at the same rung, counted from 1.

Of two objectives the first decides, by our own rule (`studies.search.rung_rule`).
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
from studies.config.settings import StudySettings
from studies.errors import Problems, nearest
from studies.search.options import check_kinds
from studies.search.rung_rule import RULES, make_rule

PRUNERS: Mapping[str, type[BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "patient": optuna.pruners.PatientPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}
OURS = ("max_resource", "wrapped_pruner")


def make_pruner(settings: StudySettings) -> BasePruner:
    """The pruner of a study."""
    name, options = settings.pruner.name, _options(settings)
    if name == "hyperband":
        options["max_resource"] = settings.budget.rungs
    if name == "patient":
        options["wrapped_pruner"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if settings.objective.second is not None and name in RULES:
            return make_rule(name, options, last=settings.budget.rungs)
        pruner = PRUNERS[name](**options)
    return WholeStudy(pruner) if name == "hyperband" else pruner


class WholeStudy(BasePruner):
    """Hyperband, with a sampler that sees the whole study.

    Optuna shows a sampler only the trials of the new trial's own bracket where the study's pruner is a HyperbandPruner.
    Slots are counted over all trials, so the pruner is wrapped; the model then learns across brackets.
    """

    def __init__(self, pruner: BasePruner) -> None:
        self.pruner = pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether `trial` is to stop, by the brackets' own rules."""
        return self.pruner.prune(study, trial)


def check_pruner(settings: StudySettings, problems: Problems) -> None:
    """Note options that the pruner does not have, and values that it refuses."""
    name, options = settings.pruner.name, settings.pruner.options
    known = [key for key in inspect.signature(PRUNERS[name]).parameters if key not in OURS]
    unknown = [option for option in options if option not in known]
    for option in unknown:
        problems.add(f"pruner.{option}", f"is not an option of {name}", nearest(option, known))
    if settings.objective.second is not None and name not in (*RULES, "none"):
        problems.add("pruner", f"is {name} but there are two objectives", f"use one of {', '.join(RULES)}, or none")
        return
    n_before = len(problems.found)
    check_kinds("pruner", options, inspect.signature(PRUNERS[name]).parameters, problems)
    rungs, first = settings.budget.rungs, options.get("min_resource")
    if settings.objective.second is not None and name == "asha" and not isinstance(first, int):
        problems.add("pruner.min_resource", f"is {first!r} but there are two objectives", "give a number of rungs")
    if is_number(first) and first > rungs:
        problems.add("pruner.min_resource", f"is {first} for {rungs} rungs", "give no more than the trial has rungs")
    if not unknown and len(problems.found) == n_before:
        try:
            make_pruner(settings)
        except (TypeError, ValueError) as error:
            problems.add("pruner", f"is {name}, which refuses its options", str(error))


def pruner_notes(settings: StudySettings) -> list[str]:
    """What the pruner will not do with this study, which a person should know before it runs."""
    name, rungs = settings.pruner.name, settings.budget.rungs
    warm_up = _options(settings).get("n_warmup_steps", 0)
    if name != "none" and (rungs == 1 or warm_up >= rungs):
        return [f"{name} never stops a trial: it has {rungs} rungs, and the first {max(warm_up, 1)} are not judged"]
    if name != "none" and settings.objective.second is not None:
        return [
            f"{name} compares trials by {settings.objective.metric} alone: the front may lack configurations that are "
            f"worse in it and better in {settings.objective.second.metric}; pruner=none keeps them"
        ]
    return []


def _options(settings: StudySettings) -> dict[str, Any]:
    """The pruner's options; a warm-up of null is half of the rungs."""
    options = dict(settings.pruner.options)
    if "n_warmup_steps" in options and options["n_warmup_steps"] is None:
        options["n_warmup_steps"] = settings.budget.rungs // 2
    return options
