"""`python -m studies.report study_name=NAME storage.url=URL`: analyse a stored study again; trains nothing.

Any Optuna study will do. With the study's own config (`+study=NAME`) everything that `studies.run` leaves is written
again; without it, all but `best.yaml`, which needs that config.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from studies.command import command

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from rich.console import Console

    from studies.settings import AnalysisSettings, StudySettings


def report(config: DictConfig) -> int:
    """Write the report and the analysis of a stored study into `output_dir`."""
    import optuna
    from rich.console import Console

    from studies.admission import need_study
    from studies.experiment import conclude_experiment, each_part

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = Console(highlight=False, soft_wrap=True)
    need_study(config)
    for part in each_part(config):
        _report_study(part.config, console)
    conclude_experiment(config, console)
    return 0


def _report_study(config: DictConfig, console: Console) -> None:
    import optuna

    from studies.admission import existing_storage
    from studies.errors import BadInput, Problem, nearest
    from studies.report.report import write_report, write_study_report
    from studies.selection import selection_of
    from studies.storage.slots import rules_of

    asked = _asked(config)
    storage = existing_storage(config)
    names = [study.study_name for study in storage.get_all_studies()]
    if config.study_name not in names:
        complaint = f"is {config.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, nearest(str(config.study_name), names))])
    study = optuna.load_study(study_name=str(config.study_name), storage=storage)
    settings = _own_settings(config, storage)
    if settings is not None:
        selection = selection_of(settings, study.get_trials(deepcopy=False), storage)
        write_report(study, settings, rules_of(settings), console=console, selection=selection)
    else:
        console.print("no config of this study was given (+study=…): the report is made from the storage alone")
        write_study_report(study, Path(str(config.output_dir)), asked, seed=int(config.seed), console=console)


def _asked(config: DictConfig) -> AnalysisSettings:
    """What is asked of the analysis. Raises `BadInput` where it makes no sense."""
    from studies.analysis_reading import read_analysis
    from studies.errors import Problems
    from studies.reading import Section

    problems = Problems()
    values = OmegaConf.to_container(config.analysis, resolve=True)
    asked = read_analysis(Section(values, prefix="analysis", problems=problems), None)
    problems.raise_if_any()
    return asked


def _own_settings(config: DictConfig, storage: BaseStorage) -> StudySettings | None:
    """The settings of `config`, if they are those of the stored study of that name."""
    from studies.errors import BadInput
    from studies.settings_reading import read_settings
    from studies.storage.identity import find_study

    try:
        settings = read_settings(config)
        find_study(settings, storage)
    except BadInput:
        return None
    return settings


main = command(report)

if __name__ == "__main__":
    main()
