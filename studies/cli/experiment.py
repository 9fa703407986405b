"""An experiment: the studies that a config describes, and the conclusion of their hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig
from optuna import Study
from rich.console import Console

from studies.analysis.same_runs import same_runs_note
from studies.cli.reports import view_of
from studies.cli.validation import validate_and_open
from studies.config.parsing.output_folder import refusals_told
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem
from studies.hypotheses.conclusion import PartTrials, conclude
from studies.hypotheses.page import remove_hypothesis, write_hypothesis
from studies.hypotheses.parts import StudyPart, parts_of
from studies.storage.checkpoints import checkpoints_of
from studies.storage.identity import find_study, rule_of
from studies.storage.slots import rules_of


def each_part(config: DictConfig, *, are_trained: bool = True) -> Iterator[StudyPart]:
    """Yield the studies that `config` describes, in order. A later one may start from the model of an earlier one.

    Without `are_trained` a model that does not exist yet counts as none. Raises `BadInput`.
    """
    return parts_of(config, checkpoint_of=_trained_model if are_trained else _model_if_stored)


def conclude_experiment(config: DictConfig, console: Console) -> None:
    """Conclude a hypothesis from its finished studies, if `config` has one. Nothing is trained."""
    if not config.get("hypothesis"):
        remove_hypothesis(Path(str(config.output_dir)))
        return
    parts = []
    for part in each_part(config):
        settings, study = stored(part.config)
        rules = rules_of(settings)
        view = view_of(study, settings, rules=rules)
        same_runs = same_runs_note(view.trials) or ""
        is_over = rules.are_all_finished(view.trials)
        parts.append(PartTrials(part.name, settings, view, is_over, rule_of(study), same_runs))
    found, folder = conclude(parts), Path(str(config.output_dir))
    with refusals_told(folder):
        write_hypothesis(folder, found, parts, console=console)


def is_finished(part: StudyPart) -> bool:
    """Return whether the whole budget of a part's study is spent."""
    settings, study = stored(part.config)
    return rules_of(settings).are_all_finished(study.get_trials(deepcopy=False))


def stored(config: DictConfig) -> tuple[StudySettings, Study]:
    """Return the settings of a part and its study. Raises `BadInput` if the storage does not hold it."""
    settings, storage = validate_and_open(config, to_read=True)
    study, settings = find_study(settings, storage)
    if study is None:
        complaint = f"is {settings.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, "run it first, by python -m studies.run with the same words")])
    return settings, study


def _model_if_stored(config: DictConfig) -> str | None:
    """Return the trained model of a part, or None if the storage does not hold its study."""
    settings, storage = validate_and_open(config)
    return _trained_model(config) if find_study(settings, storage)[0] is not None else None


def _trained_model(config: DictConfig) -> str | None:
    """Return the file with the last state of a finished part's best trial. Raises `BadInput` if none was kept."""
    settings, study = stored(config)
    checkpoints = checkpoints_of(settings)
    kept = [checkpoints.last_state_of(trial) for trial in checkpoints.best(study.get_trials(deepcopy=False))]
    found = next((path for path in kept if path is not None), None)
    if found is None:
        complaint = f"is {settings.checkpoint.keep_best}, and study {settings.study_name} kept no model for later parts"
        raise BadInput([Problem("checkpoint.keep_best", complaint, "give 1 or more, and another study_name")])
    return str(found)
