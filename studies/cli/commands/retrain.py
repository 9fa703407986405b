"""`studies.retrain`: choose a configuration, then train it in full and test it once.

The training is imported after the choice, because it loads torch.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.configuration import of_file, of_study
from studies.cli.console import make_console
from studies.errors import BadInput, Problem
from studies.trial.procedures.procedure import is_procedure


def retrain_configuration(config: DictConfig) -> int:
    """Train and test the configuration in a file, or that of a study's trial. Return the exit code."""
    console = make_console()
    chosen = of_study(config, console) if config.config is None else of_file(config.config)
    if is_procedure(chosen.values):
        complaint = f"is {chosen.values['model']['_target_']}, a procedure, which leaves nothing to train and test"
        remedy = "read its result in trials.csv, or run its study again under another study_name"
        raise BadInput([Problem("model._target_", complaint, remedy)])
    from studies.cli.retraining import make_folder, train_and_tell

    return train_and_tell(chosen, make_folder(chosen.values, chosen.folder, key=chosen.key), console)
