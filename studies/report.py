"""`python -m studies.report study_name=NAME storage.url=URL`: analyse a stored study again; trains nothing.

Any Optuna study will do. With the study's own config (`+study=NAME`) everything that `studies.run` leaves is written
again; without it, all but `best.yaml`, which needs that config. A config that is given and is another than the study's
own is refused: what one would write beside what the study wrote could tell another winner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from studies.cli.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.storages import BaseStorage
    from rich.console import Console

    from studies.config.settings import AnalysisSettings, StudySettings

ALONE = ("study_name", "storage", "output_dir", "analysis", "seed")  # keys that a report from the storage alone reads
REMEDY = (
    "give the overrides that the study was run with; for a report from the storage alone leave +study and all else out "
    "but study_name, storage.url, output_dir and analysis"
)


def report(config: DictConfig) -> int:
    """Write the report and the analysis of a stored study into `output_dir`."""
    import optuna

    from studies.cli.console import make_console
    from studies.cli.experiment import conclude_experiment, each_part
    from studies.cli.validation import need_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console()
    need_study(config)
    for part in each_part(config):
        _report_study(part.config, console)
    conclude_experiment(config, console)
    return 0


def _report_study(config: DictConfig, console: Console) -> None:
    import optuna

    from studies.cli.reports import report_stored, report_study
    from studies.cli.validation import make_folder, refuse_bad_name, storage_to_read
    from studies.config.parsing.output_folder import refusals_told
    from studies.errors import BadInput, Problem, nearest
    from studies.records.stored import check_stored
    from studies.schema import searched_study
    from studies.selection.run import selection_of

    asked = _asked(config)
    seed = _seed(config)
    storage = storage_to_read(config)
    stored = storage.get_all_studies()
    names = [study.study_name for study in stored]
    if config.study_name not in names:
        refuse_bad_name(config)
        complaint = f"is {config.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, nearest(str(config.study_name), names))])
    study = optuna.load_study(study_name=str(config.study_name), storage=storage)
    check_stored(study)
    settings = _own_settings(config, storage)
    if settings is not None:
        make_folder(settings.output_dir)
        selection = selection_of(settings, study.get_trials(deepcopy=False), storage)
        with refusals_told(settings.output_dir):
            report_study(study, settings, console=console, selection=selection)
    else:
        console.print("no config of this study was given (+study=…): the report is made from the storage alone")
        rounds = [s.study_name for s in stored if searched_study(s.user_attrs) == study.study_name]
        folder = _folder(str(config.output_dir), study.study_name)
        make_folder(folder)
        with refusals_told(folder):
            report_stored(study, folder, asked, seed=seed, rounds=rounds, console=console)


def _folder(given: str, name: str) -> Path:
    """The output folder. Raises `BadInput` where nothing can be written there, or where it bears a name that is odd."""
    from studies.config.parsing.output_folder import parse_output_dir
    from studies.errors import BadInput, Problem, Problems
    from studies.text.naming import shown_name, why_no_name

    why = why_no_name(name)
    if why is not None and given.endswith(name):
        complaint = f"is to bear the study's name {shown_name(name)}, {why}"
        raise BadInput([Problem("output_dir", complaint, "give output_dir=FOLDER")])
    problems = Problems()
    folder = parse_output_dir(given, study_name=name, problems=problems)
    problems.raise_if_any()
    return folder


def _asked(config: DictConfig) -> AnalysisSettings:
    """What is asked of the analysis. Raises `BadInput` where it makes no sense."""
    from studies.config.parsing.analysis import parse_analysis
    from studies.config.parsing.section import ConfigSection
    from studies.errors import Problems

    problems = Problems()
    node = config.analysis
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    asked = parse_analysis(ConfigSection(values, prefix="analysis", problems=problems), None)
    problems.raise_if_any()
    return asked


def _seed(config: DictConfig) -> int:
    """The seed of the analysis. Raises `BadInput` where it is none."""
    from studies.config.parsing.limits import LARGEST_SEED
    from studies.config.parsing.section import ConfigSection
    from studies.errors import Problems

    problems = Problems()
    seed = ConfigSection({"seed": config.seed}, prefix="", problems=problems).whole("seed", low=0, high=LARGEST_SEED)
    problems.raise_if_any()
    return seed


def _own_settings(config: DictConfig, storage: BaseStorage) -> StudySettings | None:
    """The settings of `config`, which are those of the stored study of that name; None where no config was given.

    Raises `BadInput` where one was given that makes no sense, or is another than the study's own.
    """
    from studies.config.parsing.settings import parse_settings
    from studies.errors import BadInput, Problem, StudyChanged
    from studies.storage.identity import find_study

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
    """Whether the command line says more of the study than its name and place."""
    from hydra.core.hydra_config import HydraConfig

    from studies.config.composing.configs import given_overrides

    if not HydraConfig.initialized():
        return False
    keys = [override.lstrip("+~").partition("=")[0] for override in given_overrides()]
    return any(key.partition("@")[0].partition(".")[0] not in ALONE for key in keys)


main = command(report)

if __name__ == "__main__":
    main()
