"""Modules in the styles of public projects give in a trial what they give under a plain Trainer, on both packages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FixedTrial, TrialState
from packages import LR, MODULES, PACKAGES, Public, settings_of

from studies.trial.building.instantiate import instantiate
from studies.trial.objective import run_trial
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight

pytestmark = pytest.mark.usefixtures("public_modules")
SEED = 7


def plain_fit(config: Mapping[str, Any], package: str, *, metric: str, folder: Path) -> float:
    """The value that a Trainer of `package` by itself ends with."""
    pl = importlib.import_module(package)
    pl.seed_everything(SEED, workers=True, verbose=False)
    datamodule = instantiate(config["datamodule"]) if config.get("datamodule") else None
    module = instantiate(config["model"])
    csv = importlib.import_module(f"{package}.loggers").CSVLogger(folder)
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=csv, num_sanity_val_steps=0, default_root_dir=folder, **quiet
    )
    trainer.fit(module, datamodule=datamodule)
    return float(trainer.callback_metrics[metric])


@pytest.mark.filterwarnings("ignore")  # of Lightning, about small data
@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.target)
def test_a_trial_gives_what_a_plain_trainer_gives(module: Public, package: str, tmp_path: Path) -> None:
    settings = settings_of(module, package, tmp_path)
    assert preflight(settings) == []
    outcome = run_trial(FixedTrial({"lr": LR}), settings, seed=SEED, interrupted=lambda: None)
    assert outcome.state == TrialState.COMPLETE, outcome.attributes
    config = PointConfig(settings, {"lr": LR}).resolved()
    assert outcome.value == plain_fit(config, package, metric=module.metric, folder=tmp_path / "plain")
