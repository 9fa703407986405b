"""The modules of users on both Lightning packages: a copy whose imports are rewritten stands for the second one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composing import composed
from omegaconf import OmegaConf
from shell import USERS

from studies.cli.validation import CHECKS
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings

PACKAGES = ("pytorch_lightning", "lightning.pytorch")
PUBLIC = "public"
COPY = "public_on_lightning"


def copy_on_lightning(folder: Path) -> None:
    """Write the public modules into `folder` as a Python package whose modules import `lightning.pytorch`."""
    (folder / COPY).mkdir(parents=True)
    for file in sorted((USERS / PUBLIC).glob("*.py")):
        (folder / COPY / file.name).write_text(file.read_text().replace(*PACKAGES))


def public_on(package: str, target: str) -> str:
    """The dotted name of a public module's member on `package`."""
    return f"{PUBLIC if package == PACKAGES[0] else COPY}.{target}"


LR = 0.03


@dataclass(frozen=True, slots=True)
class Public:
    """A module, the metric of a study of it, and the key of its learning rate."""

    target: str
    metric: str
    direction: str
    lr: str = "model.lr"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    datamodule: str | None = None
    needs_logger: bool = False


ADAM = {"_target_": "torch.optim.Adam", "lr": 0.01, "weight_decay": 0.0}
PLATEAU = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "factor": 0.1, "patience": 10}
MODULES = [
    Public(
        "template.TemplateModule",
        "val/acc",
        "maximize",
        lr="model.optimizer.lr",
        arguments={"net": {"_target_": "template.Network"}, "optimizer": ADAM, "scheduler": PLATEAU},
        datamodule="template.PointsData",
    ),
    Public("adversarial.Adversarial", "val_distance", "minimize"),
    Public("transformer.FineTuned", "val_loss", "minimize", lr="model.learning_rate"),
    Public("autoencoder.Autoencoder", "val_reconstruction", "minimize"),
    Public("reinforcement.Bandit", "avg_reward", "maximize"),
    Public("detection.Detector", "val_map", "maximize"),
    Public("graph.GraphRegression", "val_mae", "minimize", datamodule="graph.GraphData"),
    Public("contrastive.Contrastive", "valid_loss/dataloader_idx_1", "minimize", lr="model.learning_rate"),
    Public("segmentation.Segmenter", "val_auc", "maximize", lr="model.learning_rate"),
    Public("speech.Speech", "val_loss", "minimize", needs_logger=True),
    Public("forecasting.Forecaster", "ptl/val_loss", "minimize", lr="model.learning_rate"),
    Public("distillation.Distilled", "val/loss", "minimize"),
    Public("distillation.compiled", "val/loss", "minimize"),
]


BY_TARGET = {module.target: module for module in MODULES}


def settings_of(module: Public, package: str, folder: Path, *overrides: str) -> StudySettings:
    """Settings of a study of `module` on `package`, whose files all lie in `folder`."""
    parts = ["datamodule=none", "search_space=empty", "pruner=none", "sampler=random", "launcher=serial"]
    places = [f"output_dir={folder}/out", f"storage.url=sqlite:///{folder}/s.db"]
    objective = [f"objective.metric={module.metric}", f"objective.direction={module.direction}"]
    loggers = ["+loggers=csv"] if module.needs_logger else []
    config = composed(
        *parts, *loggers, *objective, *places, "study_name=public", "n_trials=2", "budget.amount=2", *overrides
    )
    config.model = OmegaConf.create(_named({"_target_": module.target, **module.arguments}, package))
    OmegaConf.update(config, module.lr, LR, force_add=True)
    if module.datamodule is not None:
        config.datamodule = OmegaConf.create(_named({"_target_": module.datamodule}, package))
    space = {"lr": {"path": module.lr, "type": "float", "low": 1e-3, "high": 1e-1, "log": True}}
    config.search_space = OmegaConf.create(space)
    return parse_settings(config, checks=CHECKS)


def _named(node: dict[str, Any], package: str) -> dict[str, Any]:
    """`node` with the members of public modules by their whole names."""
    return {
        key: _named(value, package)
        if isinstance(value, dict)
        else public_on(package, value)
        if key == "_target_" and not value.startswith("torch.")
        else value
        for key, value in node.items()
    }
