"""Modules on `lightning.pytorch` train, stop, go on, are tested and train on several ranks; mixed pieces are told."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from packages import BY_TARGET, COPY, PACKAGES, settings_of
from shell import Shell
from trainings import train

from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.errors import Problems
from studies.trial.building.instantiate import binding_problems
from studies.trial.building.mixing import PackagesMixed, exchanged
from studies.trial.building.package import package_of, package_of_target
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.checkpoints.state_file import OPTIONAL
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Watchers

pytestmark = [
    pytest.mark.usefixtures("public_modules"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*"),
]
OTHER = PACKAGES[1]


def job_of(target: str, package: str, folder: Path, *overrides: str) -> Job:
    settings = settings_of(BY_TARGET[target], package, folder, *overrides)
    saving = SavingRule(folder / "trial-0", "public", None)
    metric = settings.objective.metric
    config = PointConfig(settings, {"lr": 0.03}).resolved()
    return Job(config, metric=metric, budget=Budget("epochs", 3, 3), seed=1, folder=folder, saving=saving)


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_of_a_training_is_of_the_modules_package(package: str, tmp_path: Path) -> None:
    run = job_of("template.TemplateModule", package, tmp_path, "+loggers=csv", "+callbacks=early_stopping").build()
    pieces = [run.module, run.datamodule, run.trainer, run.trainer.logger, *run.trainer.callbacks]
    assert {found.name for piece in pieces if (found := package_of(piece)) is not None} == {package}
    assert all(package_of(piece) for piece in pieces)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_training_that_was_stopped_goes_on_as_if_it_never_was(package: str, tmp_path: Path) -> None:
    job = job_of("transformer.FineTuned", package, tmp_path)
    whole = job.build().fit()
    reached, saved = list[Rung](), list[SavedCheckpoint]()
    watchers = Watchers(
        report=lambda rung: bool(reached.append(rung)),
        interrupted=lambda: "enough" if reached else None,
        saved=saved.append,
    )
    with pytest.raises(Interrupted):
        job.build(watchers).fit()
    rest = job.build().fit(saved[-1].path)
    assert rest.steps == whole.steps == 30
    assert [rung.value for rung in rest.rungs] == [rung.value for rung in whole.rungs]


def test_two_ranks_train_a_module_of_the_other_package(tmp_path: Path) -> None:
    training = train(job_of("distillation.Distilled", OTHER, tmp_path))
    assert training.device == "2 × cpu"
    assert [rung.samples_seen for rung in training.rungs] == [96, 192, 288]


def test_a_data_module_of_the_other_package_is_refused_with_both_names(tmp_path: Path) -> None:
    settings = settings_of(BY_TARGET["template.TemplateModule"], PACKAGES[0], tmp_path)
    config = PointConfig(settings, {"lr": 0.03}).resolved()
    config["datamodule"] = {"_target_": f"{COPY}.template.PointsData"}
    problems = Problems()
    binding_problems(config, problems)
    (problem,) = problems.found
    assert problem.key == "datamodule._target_"
    assert str(problem) == (
        f"datamodule._target_ is {COPY}.template.PointsData, which derives from lightning.pytorch, and the model "
        "public.template.TemplateModule derives from pytorch_lightning: derive it from pytorch_lightning, or the model "
        "from lightning.pytorch"
    )
    with pytest.raises(PackagesMixed, match=r"which derives from lightning\.pytorch, and the model"):
        Job(config, "val/acc", Budget("epochs", 1, 1), seed=1, folder=tmp_path).build()


def test_a_callback_that_somebody_derived_from_the_other_package_is_refused(tmp_path: Path) -> None:
    settings = settings_of(BY_TARGET["distillation.Distilled"], OTHER, tmp_path)
    config = PointConfig(settings, {"lr": 0.03}).resolved()
    config["callbacks"] = {"notes": {"_target_": "user_callbacks.Notes", "path": "notes"}}
    problems = Problems()
    binding_problems(config, problems)
    binding_problems(config, problems)  # at another point of the space
    assert [problem.key for problem in problems.found] == ["callbacks.notes._target_"]


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        ("model._target_=user_mixed.BringsATimer", "lightning.pytorch.callbacks.timer.Timer"),
        ("+datamodule={_target_: user_mixed.datamodule}", "lightning.pytorch.core.datamodule.LightningDataModule"),
        (
            "+callbacks.one={_target_: user_mixed.callback}",
            "lightning.pytorch.callbacks.lr_monitor.LearningRateMonitor",
        ),
        (
            "+loggers.one={_target_: user_mixed.logger, save_dir: logs}",
            "lightning.pytorch.loggers.csv_logs.CSVLogger",
        ),
    ],
)
def test_pieces_that_show_their_package_when_they_are_built_are_refused(
    make_settings: Callable[..., StudySettings], override: str, kind: str
) -> None:
    (problem,) = preflight(make_settings("launcher=serial", override, study="plain"))
    sentence = f"{kind}, which derives from lightning.pytorch, and the model user_m"
    assert str(problem).startswith(f"model cannot be trained with {sentence}")
    assert str(problem).endswith(" derives from pytorch_lightning: take every piece from one of the two packages")


def test_classes_that_both_packages_bring_are_exchanged_and_told(tmp_path: Path) -> None:
    settings = settings_of(BY_TARGET["distillation.Distilled"], OTHER, tmp_path, "+loggers=csv")
    config = PointConfig(settings, {"lr": 0.03}).resolved()
    problems = Problems()
    binding_problems(config, problems)
    assert problems.found == []
    assert exchanged(config) == [
        f"loggers.csv is pytorch_lightning.loggers.CSVLogger, and the model {COPY}.distillation.Distilled derives from "
        "lightning.pytorch: lightning.pytorch.loggers.CSVLogger takes its place"
    ]


def test_the_package_of_a_compiled_module_is_that_of_its_content() -> None:
    module = importlib.import_module(f"{COPY}.distillation").compiled()
    found = package_of(module)
    assert found is not None
    assert found.name == OTHER
    assert package_of_target(f"{COPY}.distillation.Distilled") == found
    assert package_of(object()) is None


def test_what_modules_were_built_with_is_optional_in_checkpoints_of_both_packages() -> None:
    names = ("KEY", "NAME", "TYPE")
    for package in map(importlib.import_module, PACKAGES):
        kinds = (package.LightningModule, package.LightningDataModule)
        assert {getattr(kind, f"CHECKPOINT_HYPER_PARAMS_{name}") for kind in kinds for name in names} == OPTIONAL


@pytest.mark.slow
def test_a_whole_study_on_the_other_package_is_searched_tested_and_retrained(
    shell: Shell, copies: Path, tmp_path: Path
) -> None:
    shell.environment["PYTHONPATH"] = os.pathsep.join([str(copies), shell.environment["PYTHONPATH"]])
    settings = settings_of(BY_TARGET["template.TemplateModule"], OTHER, tmp_path)
    space = {"lr": {"path": "model.optimizer.lr", "type": "float", "low": 1e-3, "high": 0.1, "log": True}}
    options = {"model": settings.template.model, "datamodule": settings.template.datamodule, "search_space": space}
    for group, node in options.items():
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "other.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(node)))
    chosen = ("model=other", "datamodule=other", "search_space=other", "study_name=other")
    named = ("--config-dir", str(tmp_path / "conf"), *chosen, "analysis=none", "n_trials=3")
    asked = ("objective.metric=val/acc", "objective.direction=maximize", "budget.amount=2", "workers=2", "pruner=none")
    output = shell.run("run", *named, *asked, "objective.test=true", "+loggers=csv")
    assert "3 of 3 trials finished" in output
    assert "lightning.pytorch.loggers.CSVLogger takes its place" in output
    retrained = shell.run("retrain", *named, *asked, "objective.test=true", "+loggers=csv")
    assert "test/acc" in retrained
    logs = "".join(path.read_text() for path in (tmp_path / "outputs" / "other" / "logs").rglob("*.log"))
    for text in (output, retrained, logs):
        assert "GPU available" not in text
        assert "Tip" not in text
