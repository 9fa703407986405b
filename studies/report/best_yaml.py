"""`best.yaml`: the chosen configuration as a config of its own, which `studies.retrain config=…` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from studies import schema
from studies.settings import FIXED_KEYS, StudySettings
from studies.storage.identity import without_secrets

KEYS = ("study", "trial", "value", "training_seed", "point", "objective", "budget")


def chosen(settings: StudySettings, trial: FrozenTrial) -> dict[str, Any]:
    """The configuration of `trial`, whole and resolved: model, datamodule, trainer, callbacks, loggers and where it
    comes from. What is named like a secret is masked."""
    point = dict(trial.params)
    config = OmegaConf.to_container(settings.space.apply(settings.template, point), resolve=True)
    assert isinstance(config, dict)
    objective, budget = settings.objective, settings.budget
    return {
        "study": settings.study_name,
        "trial": trial.number,
        "value": trial.value,
        "training_seed": trial.user_attrs[schema.SEED],
        "point": point,
        "objective": {"metric": objective.metric, "direction": objective.direction, "value": objective.value},
        "budget": {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        **{key: value for key, value in without_secrets(config).items() if key in FIXED_KEYS},
    }


def write_best_yaml(path: Path, settings: StudySettings, trial: FrozenTrial) -> None:
    """Write the configuration of `trial`."""
    header = f"# The best configuration of study {settings.study_name}: run it with\n"
    header += f"#   python -m studies.retrain config={path}\n"
    path.write_text(header + yaml.safe_dump(chosen(settings, trial), sort_keys=False))
