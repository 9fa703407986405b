"""`best.yaml`: the chosen configuration as a config of its own, which `studies.retrain config=…` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from studies import schema
from studies.analysis.choice import Choice
from studies.settings import FIXED_KEYS, StudySettings
from studies.storage.checkpoints import last_state_of
from studies.storage.identity import without_secrets
from studies.trial.half_batch import HalfBatch, write_half


def chosen(settings: StudySettings, choice: Choice) -> dict[str, Any]:
    """The configuration of `choice`, whole and resolved: model, datamodule, trainer, callbacks, loggers, where it comes
    from, and the checkpoint of its trial's last state where that was kept."""
    trial = choice.trial
    point = dict(trial.params)
    applied = settings.space.apply(settings.template, point)
    if schema.BATCH_HALVED in trial.user_attrs:
        write_half(applied, settings, HalfBatch(**trial.user_attrs[schema.BATCH_HALVED]))
    config = OmegaConf.to_container(applied, resolve=True)
    assert isinstance(config, dict)
    objective, budget = settings.objective, settings.budget
    checkpoint = last_state_of(trial)
    return {
        "study": settings.study_name,
        "trial": trial.number,
        "value": choice.value,
        "n_seeds": choice.n,
        "training_seed": trial.user_attrs[schema.SEED],
        "point": point,
        "objective": {"metric": objective.metric, "direction": objective.direction, "value": objective.value},
        "budget": {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        "threads": trial.user_attrs.get(schema.THREADS),
        **({"devices_per_trial": settings.devices_per_trial} if settings.devices_per_trial > 1 else {}),
        **({"checkpoint": str(checkpoint)} if checkpoint is not None else {}),
        **{str(key): value for key, value in config.items() if key in FIXED_KEYS},
    }


def write_best_yaml(path: Path, settings: StudySettings, best: Choice) -> None:
    """Write the configuration of the best choice, with its value; what is named like a secret is masked."""
    header = f"# The best configuration of study {settings.study_name}: run it with\n"
    header += f"#   python -m studies.retrain config={path}\n"
    path.write_text(header + yaml.safe_dump(without_secrets(chosen(settings, best)), sort_keys=False))
