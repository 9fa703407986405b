"""`studies.report`: write the report of a stored study, with its own config or from the storage alone."""

from __future__ import annotations

from pathlib import Path

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Study
from optuna.storages import BaseStorage
from rich.console import Console

from studies.cli.console import make_console
from studies.cli.experiment import conclude_experiment, each_part
from studies.cli.reports import report_stored, report_study
from studies.cli.validation import make_folder, need_study, refuse_bad_name, section_of, storage_to_read
from studies.config.composing.configs import given_overrides
from studies.config.parsing.analysis import parse_analysis
from studies.config.parsing.limits import LARGEST_SEED
from studies.config.parsing.output_folder import parse_output_dir, refusals_told
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.settings import parse_settings
from studies.config.settings import AnalysisSettings, StudySettings
from studies.errors import BadInput, Problem, Problems, StudyChanged, nearest
from studies.records.stored import trials_of
from studies.schema import searched_study
from studies.selection.run import selection_of
from studies.storage.identity import find_study
from studies.text.naming import shown_name, why_no_name

ALONE = ("study_name", "storage", "output_dir", "analysis", "seed")  # keys that a report from the storage alone reads
REMEDY = (
    "give the overrides that the study was run with, or only study_name, storage.url, output_dir and analysis for a "
    "report from the storage alone"
)


def report_experiment(config: DictConfig) -> int:
    """Report each stored study that `config` describes, and conclude its hypothesis. Return the exit code."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console()
    need_study(config)
    are_known = [_report_study(part.config, console) for part in each_part(config)]
    if all(are_known):
        conclude_experiment(config, console)
    return 0


def _report_study(config: DictConfig, console: Console) -> bool:
    """Report a stored study. Return whether its config is known."""
    asked, seed = _analysis_of(config)
    storage = storage_to_read(config)
    study = _stored_study(config, storage)
    settings = _own_settings(config, storage)
    if settings is not None:
        make_folder(settings.output_dir)
        selection = selection_of(settings, study.get_trials(deepcopy=False), storage)
        with refusals_told(settings.output_dir):
            report_study(study, settings, console=console, storage=storage, selection=selection)
        return True
    console.print("no config of this study was given (+study=…): the report is made from the storage alone")
    rounds = [s.study_name for s in storage.get_all_studies() if searched_study(s.user_attrs) == study.study_name]
    folder = _folder(str(config.output_dir), study.study_name)
    make_folder(folder)
    with refusals_told(folder):
        report_stored(study, folder, asked, seed=seed, rounds=rounds, console=console)
    return False


def _stored_study(config: DictConfig, storage: BaseStorage) -> Study:
    """Return the stored study. Raises `BadInput` if the storage does not hold it, or holds it damaged."""
    names = [study.study_name for study in storage.get_all_studies()]
    if config.study_name not in names:
        refuse_bad_name(config)
        complaint = f"is {config.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, nearest(str(config.study_name), names))])
    study = optuna.load_study(study_name=str(config.study_name), storage=storage)
    trials_of(study)  # raises `BadInput` for damaged ones
    return study


def _folder(given: str, name: str) -> Path:
    """Return the output folder. Raises `BadInput` for an odd name, and where nothing can be written."""
    why = why_no_name(name)
    if why is not None and given.endswith(name):
        complaint = f"is to bear the study's name {shown_name(name)}, {why}"
        raise BadInput([Problem("output_dir", complaint, "give output_dir=FOLDER")])
    problems = Problems()
    folder = parse_output_dir(given, study_name=name, problems=problems)
    problems.raise_if_any()
    return folder


def _analysis_of(config: DictConfig) -> tuple[AnalysisSettings, int]:
    """Return the settings of the analysis, and its seed. Raises `BadInput`."""
    problems = Problems()
    asked = parse_analysis(section_of(config.analysis, "analysis", problems), None)
    seed = ConfigSection({"seed": config.seed}, prefix="", problems=problems).whole("seed", low=0, high=LARGEST_SEED)
    problems.raise_if_any()
    return asked, seed


def _own_settings(config: DictConfig, storage: BaseStorage) -> StudySettings | None:
    """Return the settings of the stored study, if `config` gives them. None if the command line names the study alone.

    Raises `BadInput` for a given config that is wrong, or is another than the study's own.
    """
    try:
        settings = parse_settings(config)
        find_study(settings, storage)
    except StudyChanged as error:
        if not _is_given():
            return None
        raise BadInput([Problem(p.key, p.complaint, REMEDY) for p in error.problems]) from None
    except BadInput:
        if not _is_given():
            return None
        raise
    return settings


def _is_given() -> bool:
    """Return whether the command line says more of the study than its name and place."""
    if not HydraConfig.initialized():
        return False
    keys = [override.lstrip("+~").partition("=")[0] for override in given_overrides()]
    return any(key.partition("@")[0].partition(".")[0] not in ALONE for key in keys)
