"""A study whose models take hidden layers over from what an earlier training left, by a parameter of its space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import FixedTrial

from studies.config.settings import StudySettings
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight
from studies.trial.ranks.processes import train_in_ranks
from studies.trial.retraining import train_and_test
from studies.trial.training import Watchers

MakeSettings = Callable[..., StudySettings]
FIRST_LAYER = "network.layers.1.weight"


def a_job(settings: StudySettings, folder: Path, *, seed: int = 0, **values: Any) -> Job:
    middle = settings.space.from_unit([0.5] * len(settings.space))
    point = settings.space.suggest(FixedTrial({**middle, **values}))
    return Job(
        PointConfig(settings, point).resolved(), metric="val/accuracy", budget=settings.budget, seed=seed, folder=folder
    )


def first_layer(path: Path) -> torch.Tensor:
    weight: torch.Tensor = torch.load(path, weights_only=True)["state_dict"][FIRST_LAYER]
    return weight


@pytest.fixture
def retrained(make_settings: MakeSettings, tmp_path: Path) -> Path:
    """What studies.retrain leaves: a model of the gratings, at the shape of the digits."""
    settings = make_settings("datamodule=gratings", "datamodule.image_shape=[1,8,8]", "search_space=lr_batch_size")
    config = {**a_job(settings, tmp_path).config, "objective": {"metric": "val/accuracy"}, "training_seed": 1}
    return train_and_test(config, budget=settings.budget, folder=tmp_path).checkpoint


@pytest.fixture
def settings(make_settings: MakeSettings, retrained: Path) -> StudySettings:
    """A study of the digits that asks whether to begin with the layers of the gratings, and whether to freeze them."""
    return make_settings(
        "search_space=lr_batch_size",
        f"+search_space.start={{path:model.init_from,type:categorical,choices:{{scratch:null,gratings:{retrained}}}}}",
        "+search_space.freeze={path:model.freeze,type:categorical,choices:[true,false],when:{start:[gratings]}}",
    )


@pytest.mark.parametrize(
    ("values", "stays", "n_trained"),
    [
        ({"start": "gratings", "freeze": True}, True, 2),
        ({"start": "gratings", "freeze": False}, False, 4),
        ({"start": "scratch"}, False, 4),
    ],
)
def test_what_was_sampled_is_what_the_training_begins_with(
    settings: StudySettings, retrained: Path, tmp_path: Path, values: Mapping[str, Any], stays: bool, n_trained: int
) -> None:
    run = a_job(settings, tmp_path, **values, lr=1e-4).build()
    run.fit()
    after = dict(run.module.named_parameters())[FIRST_LAYER]
    assert torch.equal(after, first_layer(retrained)) == stays
    assert torch.allclose(after, first_layer(retrained), atol=0.05) == (values["start"] == "gratings")
    assert sum(len(group["params"]) for group in run.trainer.optimizers[0].param_groups) == n_trained


def test_a_trial_goes_on_from_its_checkpoint_though_what_it_took_over_is_gone(
    settings: StudySettings, retrained: Path, tmp_path: Path
) -> None:
    """And a trial's checkpoint serves another one as what it takes over."""
    saved: list[SavedCheckpoint] = []
    job = a_job(settings, tmp_path, start="gratings", freeze=True)
    saving = SavingRule(tmp_path / "kept", "digits", every_s=0)
    whole = replace(job, saving=saving).build(Watchers(saved=saved.append)).fit()
    layer = first_layer(retrained)
    retrained.unlink()
    run = job.build()
    assert run.fit(saved[0].path).rungs[-1].value == whole.rungs[-1].value
    assert torch.equal(dict(run.module.named_parameters())[FIRST_LAYER], layer)
    retrained.symlink_to(saved[0].path)
    run = job.build()
    run.fit()
    assert torch.equal(dict(run.module.named_parameters())[FIRST_LAYER], layer)


@pytest.mark.slow
@pytest.mark.parametrize("freeze", [True, False])
def test_two_ranks_begin_with_the_same_layers(
    settings: StudySettings, retrained: Path, tmp_path: Path, freeze: bool
) -> None:
    saved: list[SavedCheckpoint] = []
    saving = SavingRule(tmp_path / "kept", "digits", every_s=0)
    job = replace(a_job(settings, tmp_path, start="gratings", freeze=freeze, lr=1e-4), saving=saving)
    training = train_in_ranks(job, n_ranks=2, watchers=Watchers(saved=saved.append))
    assert training.device == "2 × cpu"
    assert torch.equal(first_layer(saved[-1].path), first_layer(retrained)) == freeze
    assert torch.allclose(first_layer(saved[-1].path), first_layer(retrained), atol=0.05)


def test_a_network_that_the_checkpoint_does_not_fit_is_found_before_the_study_starts(
    make_settings: MakeSettings, retrained: Path
) -> None:
    settings = make_settings("search_space=lr_batch_size", f"model.init_from={retrained}", "model.network.width=32")
    (problem,) = preflight(settings)
    assert "layers.1 has bias (64,), weight (64, 64) there and bias (32,), weight (32, 64) here" in str(problem)


def test_freezing_what_was_not_taken_over_is_found_before_the_study_starts(make_settings: MakeSettings) -> None:
    (problem,) = preflight(make_settings("search_space=lr_batch_size", "model.freeze=true"))
    assert "freeze is True: give init_from" in str(problem)


@pytest.mark.parametrize(("key", "value"), [("data_seed", 3), ("noise", 0.1), ("n_train", 300), ("n_val", 50)])
def test_each_knob_of_the_gratings_reaches_the_data(make_settings: MakeSettings, key: str, value: float) -> None:
    settings = make_settings(
        "datamodule=gratings",
        "datamodule.n_train=200",
        "datamodule.n_val=40",
        "datamodule.n_test=40",
        "search_space=lr_batch_size",
        f"+search_space.{key}={{path:datamodule.{key},type:categorical,choices:[{value}]}}",
    )
    run = a_job(settings, settings.output_dir).build()
    data: Any = run.datamodule
    assert getattr(data.data_set, key.removeprefix("data_")) == value
