"""`studies.retrain`: choose a configuration, then train it in full and test it once.

The configuration comes from a file, or is a study's selected or best one, or that of a trial.
The training is imported after the choice, because it loads torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from studies import schema
from studies.analysis.choice import Choice, ranked
from studies.analysis.estimate import Estimate
from studies.cli.console import make_console
from studies.cli.validation import validate_and_open
from studies.config.composing.configs import given_overrides
from studies.config.composing.own_options import BY_PATH
from studies.config.parsing.configuration import read_configuration
from studies.config.settings import ObjectiveSettings
from studies.errors import BadInput, Problem, StudyChanged
from studies.hypotheses.parts import part_names
from studies.records.objectives import by_first
from studies.selection import evaluations
from studies.selection.chosen import chosen, is_told_by_hand, selected
from studies.selection.run import selection_of
from studies.storage.identity import find_study
from studies.text.quoting import pasted
from studies.trial.procedures.procedure import is_procedure

BEST = "best"  # instead of the number of a trial


@dataclass(frozen=True, slots=True)
class ChosenConfiguration:
    """A configuration to train, and what is known of it."""

    values: Mapping[str, Any]  # as in a best.yaml
    folder: Path  # below which the retraining has its own
    key: str  # the key of the command line that names this folder
    evaluated: Sequence[str]  # who evaluated the test part before, in words


def retrain_configuration(config: DictConfig) -> int:
    """Train and test the configuration in a file, or that of a study's trial. Return the exit code."""
    console = make_console()
    found = _of_study(config, console) if config.config is None else _of_file(config.config)
    if is_procedure(found.values):
        complaint = f"is {found.values['model']['_target_']}, a procedure, which leaves nothing to train and test"
        remedy = "read its result in trials.csv, or run its study again under another study_name"
        raise BadInput([Problem("model._target_", complaint, remedy)])
    from studies.cli.retraining import make_folder, train_and_tell

    folder = make_folder(found.values, found.folder, key=found.key)
    return train_and_tell(found.values, folder, console, evaluated=found.evaluated)


def _of_file(given: object) -> ChosenConfiguration:
    """Return the configuration in the file that `config` names. Raises `BadInput`."""
    _refuse_other_overrides()
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise BadInput([Problem("config", f"is {given!r}", "give the path of a best.yaml")])
    path = Path(os.path.expanduser(given))  # noqa: PTH111 - a user who is unknown stays as written
    values = read_configuration(path)
    return ChosenConfiguration(values, path.resolve().parent, "config", list(evaluations.of_file(values)))


def _of_study(config: DictConfig, console: Console) -> ChosenConfiguration:
    """Return the selected configuration of a study, its best one, or that of a trial. Raises `BadInput`."""
    _refuse_parts(config)
    settings, storage = validate_and_open(config, to_read=True)
    with _changes_told(settings.output_dir):
        study, settings = find_study(settings, storage)
    every = study.get_trials(deepcopy=False) if study is not None else []
    trials = by_first(every)
    selection = selection_of(settings, trials, storage)
    evaluated = list(evaluations.of_study(trials, selection))
    values = selected(settings, selection) if selection is not None and config.trial == BEST else None
    if values is None:
        if config.trial == BEST and settings.select.name != "none":
            console.print("note: nothing is selected yet, so this is the best of the search (studies.run goes on)")
        best = _best(every, settings.objective, by_point=settings.is_designed)
        choice = best if config.trial == BEST else _trial(config.trial, trials)
        if choice is None:
            raise BadInput([_no_such_trial(config.trial, settings.study_name, study, n_trials=len(trials))])
        if is_told_by_hand(choice.trial):
            by_hand = f"trial {choice.trial.number} has no training seed, for no worker trained it"
            complaint = f"is {config.trial}, and {by_hand}"
            raise BadInput([Problem("trial", complaint, "give the number of a trial that studies.run has trained")])
        values = chosen(settings, choice) | _last_rung(choice.trial)
    return ChosenConfiguration(values, settings.output_dir, "output_dir", evaluated)


def _refuse_other_overrides() -> None:
    """Raise `BadInput` for each override beside `config=`."""
    given = given_overrides() if HydraConfig.initialized() else []  # called from Python, there are none
    others = [override for override in given if not override.startswith("config=")]
    if others:
        remedy = "edit the file, or leave config= out and name the study"
        complaint = "would be ignored, since config= names a whole configuration"
        named = [override.replace(f"+{BY_PATH}=", "the study file ") for override in others]
        raise BadInput([Problem(override, complaint, remedy) for override in named])


def _refuse_parts(config: DictConfig) -> None:
    """Raise `BadInput` for an experiment of several studies."""
    parts = part_names(config)
    if parts:
        remedy = " or ".join(pasted("config", f"{config.output_dir}/{name}/best.yaml") for name in parts)
        complaint = f"is {config.study_name}, which is made of the studies {', '.join(parts)}"
        raise BadInput([Problem("study_name", complaint, f"say which one to train: {remedy}")])


@contextmanager
def _changes_told(output_dir: Path) -> Iterator[None]:
    """Raise `BadInput` with the remedy of this command where the study has another config."""
    try:
        yield
    except StudyChanged as error:
        own = pasted("config", output_dir / "best.yaml")
        remedy = f"give the overrides that the study was run with, or {own} alone"
        raise BadInput([Problem(p.key, p.complaint, remedy) for p in error.problems]) from None


def _best(trials: Sequence[FrozenTrial], objective: ObjectiveSettings, *, by_point: bool) -> Choice | None:
    maximize, then_maximize = objective.maximize, objective.then_maximize
    return next(iter(ranked(trials, maximize=maximize, by_point=by_point, then_maximize=then_maximize)), None)


def _trial(number: object, trials: Sequence[FrozenTrial]) -> Choice | None:
    found = [trial for trial in trials if trial.number == number and trial.params]
    return Choice(found[0], Estimate(found[0].value or 0.0, n=1)) if found else None


def _no_such_trial(given: object, study_name: str, study: Study | None, *, n_trials: int) -> Problem:
    lacks = f"study {study_name} has no such trial with a configuration"
    if study is None:
        lacks = f"the storage has no study {study_name}"
    remedy = f"give best, or one of 0…{n_trials - 1}"
    if not n_trials:
        remedy = "run it first by studies.run, or correct study_name"
    return Problem("trial", f"is {given}, and {lacks}", remedy)


def _last_rung(trial: FrozenTrial) -> dict[str, Any]:
    """Return the last rung of an incomplete trial, with its value. Empty for a complete trial."""
    if trial.state == TrialState.COMPLETE:
        return {}
    rungs = dict(trial.user_attrs.get(schema.RUNGS, ())) | trial.intermediate_values
    last = max(rungs, default=0)
    return {"value": rungs.get(last), "rung": last}
