"""Links: values of the data module in the config of the model."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from optuna.trial import TrialState
from trainings import run

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.config.settings import StudySettings
from studies.errors import BadInput, StudyChanged
from studies.reporting.sections.endings import trials_csv
from studies.selection.chosen import best_yaml, chosen
from studies.storage.identity import find_study, identity
from studies.storage.opening import open_storage
from studies.trial.building.links import NotInConfig, plain
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight
from studies.trial.retraining import train_and_test
from studies.trial.run import Run

MakeSettings = Callable[..., StudySettings]
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


@pytest.fixture
def sorts(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", *overrides, study="sorts")


def built(settings: StudySettings, folder: Path) -> Run:
    point = settings.space.from_unit([0.5] * len(settings.space))
    return PointConfig(settings, point).job(folder).build()


def refused(settings: StudySettings, folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        built(settings, folder)
    (problem,) = caught.value.problems
    return str(problem)


def test_a_model_is_built_from_what_its_data_know_once_they_are_set_up(sorts: MakeSettings, tmp_path: Path) -> None:
    run = built(sorts("+links.model.names=datamodule.names", "+links.model.width=datamodule.shape"), tmp_path)
    assert (run.module.n_classes, run.module.names) == (3, ["kind 0", "kind 1", "kind 2"])
    assert run.module.width == [1, 3]


def test_the_data_are_set_up_once_for_the_model_and_the_trainer(sorts: MakeSettings, tmp_path: Path) -> None:
    """Later calls, as of another fit, are real."""
    run = built(sorts(), tmp_path)
    data: Any = run.datamodule
    run.fit()
    assert data.calls == ["prepare_data", "fit"]
    data.setup("test")
    data.setup("fit")
    data.prepare_data()
    assert data.calls == ["prepare_data", "fit", "test", "fit", "prepare_data"]


def test_a_setup_for_another_stage_is_not_skipped(sorts: MakeSettings, tmp_path: Path) -> None:
    data: Any = built(sorts(), tmp_path).datamodule
    data.setup(stage="test")
    assert data.calls == ["prepare_data", "fit", "test"]


def test_what_follows_a_target_by_interpolation_follows_the_link(sorts: MakeSettings, tmp_path: Path) -> None:
    run = built(sorts("+model.width=${model.n_classes}"), tmp_path)
    assert (run.module.n_classes, run.module.width) == (3, 3)


def test_each_trial_has_and_records_its_own_value(sorts: MakeSettings, tmp_path: Path) -> None:
    kinds = "+search_space.kinds={path: datamodule.n_kinds, type: int, low: 2, high: 5}"
    settings = sorts(kinds, "n_trials=4")
    trials = run(settings)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    values = [trial.user_attrs[schema.LINKED] for trial in trials]
    assert values == [{"model.n_classes": trial.params["kinds"]} for trial in trials]
    assert len({trial.params["kinds"] for trial in trials}) > 1
    (tmp_path / "trials.csv").write_text(trials_csv(trials), newline="")
    with (tmp_path / "trials.csv").open() as file:
        assert [row["linked_model.n_classes"] for row in csv.DictReader(file)] == [
            str(trial.params["kinds"]) for trial in trials
        ]


def test_best_yaml_has_the_number_and_a_retraining_gives_the_same_value(sorts: MakeSettings, tmp_path: Path) -> None:
    settings = sorts("n_trials=1")
    (trial,) = run(settings)
    best = Choice(trial, Estimate(trial.value or 0.0, n=1))
    (tmp_path / "best.yaml").write_text(best_yaml(settings, best) or "")
    config = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert config["model"]["n_classes"] == 3
    assert config["links"] == {"model.n_classes": "datamodule.n_classes"}
    tested = train_and_test(config, budget=settings.budget, folder=tmp_path / "retrain")
    assert tested.value == trial.value


def test_a_retraining_on_other_data_is_refused(sorts: MakeSettings, tmp_path: Path) -> None:
    settings = sorts("n_trials=1")
    (trial,) = run(settings)
    config = chosen(settings, Choice(trial, Estimate(trial.value or 0.0, n=1)))
    config["datamodule"]["n_kinds"] = 4
    with pytest.raises(BadInput, match=r"links\.model\.n_classes gives 4, and gave 3 before"):
        train_and_test(config, budget=settings.budget, folder=tmp_path / "retrain")


def test_links_belong_to_a_studys_identity_and_a_study_without_any_keeps_its_own(sorts: MakeSettings) -> None:
    run(sorts("n_trials=1"))
    other = sorts("n_trials=1", "+links.model.n_classes=datamodule.n_kinds")
    with pytest.raises(StudyChanged, match=r"links\.model\.n_classes"):
        find_study(other, open_storage(other.storage.address))
    assert not any(key.startswith("links") for key in identity(sorts("~links", "model.n_classes=3")))


def test_what_a_link_overwrites_is_not_part_of_the_identity(sorts: MakeSettings) -> None:
    assert identity(sorts()) == identity(sorts("model.n_classes=7"))


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("datamodule.n_clases", "Labelled has no n_clases after setup: did you mean n_classes?"),
        ("datamodule.points", "is datamodule.points, which is a TensorDataset: "),
        ("datamodule.folder", "which is a NoneType: None after setup"),
        ("datamodule.count", "which is a method after setup: make it a property"),
        ("datamodule.broken", "reading broken fails (ValueError: it is broken)"),
    ],
)
def test_an_attribute_that_no_config_can_hold_is_told(
    sorts: MakeSettings, tmp_path: Path, link: str, told: str
) -> None:
    message = refused(sorts(f"+links.model.n_classes={link}"), tmp_path)
    assert message.startswith("links.model.n_classes ")
    assert told in message


def test_data_that_ask_for_their_trainer_cannot_be_linked(sorts: MakeSettings, tmp_path: Path) -> None:
    message = refused(sorts("datamodule._target_=user_data.NeedsItsTrainer"), tmp_path)
    assert "NeedsItsTrainer.setup asks for it" in message


def test_data_that_follow_what_is_read_off_them_are_refused(sorts: MakeSettings, tmp_path: Path) -> None:
    message = refused(
        sorts("model.n_classes=3", "datamodule.batch_size=${model.n_classes}", "datamodule.n_kinds=4"), tmp_path
    )
    assert message.startswith("datamodule follows model.n_classes")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["+links.model.lr=datamodule.n_kinds"], "links.model.lr is written by a link, and search_space.lr searches"),
        (["+links.datamodule.batch_size=datamodule.n_kinds"], "is not below model, callbacks or trainer"),
        (["+links.model.no_such=datamodule.n_kinds"], "links.model.no_such does not exist in the config"),
        (["+links.model.n_classes=model.lr"], "only the data module is read"),
        (["+links.model.n_classes='datamodule.count()'"], "is no attribute"),
        (["datamodule=none"], "links read attributes of a data module, and there is none"),
    ],
)
def test_links_that_make_no_sense_are_refused_before_anything_is_built(
    sorts: MakeSettings, overrides: list[str], told: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(told)):
        sorts(*overrides)


def test_a_preflight_tells_a_broken_link_by_its_key(sorts: MakeSettings) -> None:
    assert preflight(sorts()) == []
    (problem,) = preflight(sorts("+links.model.n_classes=datamodule.n_clases"))
    assert problem.key == "links.model.n_classes"


def test_values_are_plain() -> None:
    scalars = (torch.tensor(3), np.float32(0.5), np.int64(2), np.bool_(True))
    assert [plain(value) for value in scalars] == [3, 0.5, 2, True]
    assert plain((1, [2.0, "three"])) == [1, [2.0, "three"]]
    for value in (None, math.nan, {"a": 1}, torch.zeros(2), object(), Path()):
        with pytest.raises(NotInConfig):
            plain(value)


@pytest.mark.slow
def test_every_rank_of_a_trial_has_the_value(sorts: MakeSettings) -> None:
    (trial,) = run(sorts("n_trials=1", "launcher.devices_per_trial=2", "trainer.accelerator=cpu"))
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs[schema.LINKED] == {"model.n_classes": 3}
